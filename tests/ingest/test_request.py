import pytest

from app.ingest.request import read_query
from app.request_errors import InvalidParameterError


@pytest.mark.parametrize(
    ("query", "dry_run"),
    [(b"", False), (b"dry_run=false", False), (b"dry_run=true", True)],
)
@pytest.mark.parametrize("lenient", [False, True])
def test_dry_run_is_read(query: bytes, *, dry_run: bool, lenient: bool) -> None:
    assert read_query(query, lenient=lenient) == (dry_run, ())


@pytest.mark.parametrize(
    "query", [b"dry_run=", b"dry_run", b"dry_run=1", b"dry_run=true&dry_run=true"]
)
@pytest.mark.parametrize("lenient", [False, True])
def test_dry_run_of_another_value_is_refused(query: bytes, *, lenient: bool) -> None:
    with pytest.raises(InvalidParameterError, match="true or false"):
        read_query(query, lenient=lenient)


@pytest.mark.parametrize(
    "query", [b"dryrun=true", b"dry-run=true", b"DRY_RUN=true", b"x", b"\xff=%ff"]
)
def test_unknown_parameter_is_refused_or_warned_of(query: bytes) -> None:
    with pytest.raises(InvalidParameterError, match="the only one is `dry_run`"):
        read_query(query, lenient=False)
    options = read_query(query, lenient=True)
    assert not options.dry_run
    assert [warning.code for warning in options.warnings] == ["unknown_parameter"]


def test_unknown_parameter_leaves_the_known_one() -> None:
    assert read_query(b"dry_run=true&x=1", lenient=True).dry_run

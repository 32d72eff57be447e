"""Kinds of files that `validate` and `import` read, and what they say of them."""

import bz2
import json
from pathlib import Path

import pytest

from app.cli.files.validate import validate
from tests.support.cli.files import event, ndjson, run, write
from tests.support.pipeline.verdicts import SIGNED_UP, without

GOOD = event(1)
BAD = without(event(3), "user_id")
PAGE = {"type": "page", "userId": "u1", "name": "Home", "messageId": "m9"}


def counts(stderr: str) -> str:
    """The line with the counts."""
    [line] = [line for line in stderr.splitlines() if " valid, " in line]
    return line


def unwrapped(stderr: str) -> str:
    """An error of usage without the frame around it."""
    return " ".join(stderr.replace("\u2502", " ").split())


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (json.dumps(BAD) + json.dumps(BAD), [1, 1]),
        (json.dumps(GOOD) + " " + json.dumps(BAD) + "\n" + json.dumps(BAD), [1, 2]),
        ("\n".join(json.dumps(each, indent=2) for each in (BAD, GOOD, BAD)), [1, 24]),
        ('{"event": "x"\n, "user_id": "u"\n}\n' + json.dumps(BAD), [1, 1, 1, 4]),
        ("\x1e" + json.dumps(BAD) + "\n\x1e" + json.dumps(GOOD) + "\n", [1]),
        (json.dumps({"batch": [GOOD, BAD]}) + "\n" + json.dumps([BAD]), [1, 2]),
        (json.dumps([GOOD, BAD]) + "\n" + json.dumps({"batch": [BAD]}), [1, 2]),
        (json.dumps(GOOD) + "\r" + json.dumps(BAD) + "\r", [2]),
    ],
)
@pytest.mark.parametrize("name", ["e", "e.ndjson", "e.json"])
def test_json_values_may_be_laid_out_in_any_way(
    tmp_path: Path, content: str, lines: list[int], name: str
) -> None:
    result = run(validate, write(tmp_path / name, content.encode()))

    assert "0 not read" in result.stderr
    found = [line.split(",")[0] for line in result.stdout.splitlines()]
    errors = [text for text in found if "warning" not in text]
    assert {int(text.removeprefix("line ")) for text in errors} == set(lines)


def test_sdk_calls_that_are_no_tracks_are_ignored_and_counted(tmp_path: Path) -> None:
    track = GOOD | {"type": "track"}
    bodies = [{"type": "identify", "userId": "u"}, track, {"batch": [PAGE, track]}]

    result = run(validate, write(tmp_path / "e", ndjson(*bodies)), "--json")

    statuses = [json.loads(line)["status"] for line in result.stdout.splitlines()]
    assert statuses == ["ignored", "valid", "ignored", "valid"]
    assert counts(result.stderr) == (
        "2 valid, 0 rejected, 0 not read, 0 warnings, 2 ignored"
    )
    assert result.exit_code == 0


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["e.ndjson", "e.csv"])
def test_utf_16_is_read(tmp_path: Path, encoding: str, name: str) -> None:
    rows = f"user_id,event,timestamp,properties\n{SIGNED_UP['user_id']},signed_up,"
    text = (
        json.dumps(GOOD)
        if name == "e.ndjson"
        else rows + ('2023-11-02T00:30:08Z,"{""email"": ""a@b.c"", ""name"": ""A""}"\n')
    )
    result = run(validate, write(tmp_path / name, text.encode(encoding)))

    assert counts(result.stderr).startswith("1 valid, 0 rejected, 0 not read, 0 war")
    assert result.exit_code == 0


def test_several_files_are_read_and_named(tmp_path: Path) -> None:
    first = write(tmp_path / "a.ndjson", ndjson(GOOD, BAD))
    second = write(tmp_path / "b.json.bz2", bz2.compress(json.dumps([BAD]).encode()))

    result = run(validate, first, second)
    as_json = run(validate, first, second, "--json")

    assert [line.split(":")[0] for line in result.stdout.splitlines()] == [
        "a.ndjson line 2, index 1",
        "b.json.bz2 line 1, index 0",
    ]
    assert counts(result.stderr).startswith("1 valid, 2 rejected, 0 not read")
    assert [json.loads(line)["file"] for line in as_json.stdout.splitlines()] == [
        "a.ndjson",
        "a.ndjson",
        "b.json.bz2",
    ]


def test_summary_counts_every_code_on_stdout(tmp_path: Path) -> None:
    both = BAD | {"timestamp": "now", "properties": {"email": "x"}}
    assumed = event(4, timestamp="2023-11-02T00:30:08")

    result = run(
        validate,
        write(tmp_path / "e", ndjson(both, assumed, assumed, BAD)),
        "--summary",
    )

    assert [line.split() for line in result.stdout.splitlines()] == [
        ["2", "error", "missing_field"],
        ["1", "error", "invalid_email"],
        ["1", "error", "invalid_timestamp"],
        ["2", "warning", "offset_assumed_utc"],
        ["1", "warning", "missing_recommended"],
    ]
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.xlsx", b"PK\x03\x04 [Content_Types].xml", "is an Excel workbook"),
        ("a.zip", b"PK\x03\x04 events.json", "is a ZIP archive"),
        ("a.parquet", b"PAR1", "is a Parquet file"),
    ],
)
def test_file_of_another_kind_exits_with_2_before_any_is_read(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    good = write(tmp_path / "e", ndjson(BAD))
    result = run(validate, good, write(tmp_path / name, content))

    assert result.exit_code == 2
    assert reason in unwrapped(result.stderr)
    assert result.stdout == ""


def test_directory_is_named_as_one(tmp_path: Path) -> None:
    result = run(validate, tmp_path)

    assert result.exit_code == 2
    assert "is a directory" in unwrapped(result.stderr)


@pytest.mark.parametrize("header", [b"user_id;event;x", b'"user_id";"event";"x"'])
def test_csv_without_suffix_or_options_is_recognised_by_its_header(
    tmp_path: Path, header: bytes
) -> None:
    content = header + b"\nu;signed_up;1\n;;\n"
    result = run(validate, write(tmp_path / "e", content))

    assert "The delimiter seems to be `;`" in result.stderr
    assert counts(result.stderr).endswith(", 1 blank")


def test_csv_rows_are_rejected_with_the_errors_of_their_cells(tmp_path: Path) -> None:
    content = (
        b"event,user_id,timestamp,properties.email,properties.name\n"
        b"signed_up,u,2023-10-29 02:30:00,x,n\n"
    )
    result = run(
        validate, write(tmp_path / "e.csv", content), "--timezone", "Europe/Berlin"
    )

    assert [line.split(": ")[1:3] for line in result.stdout.splitlines()] == [
        ["error invalid_timestamp", "timestamp"],
        ["error invalid_email", "properties.email"],
    ]
    assert result.exit_code == 1

"""The public vector lists, read where they lie beside the checkout; never copied.

`ACCEPTED` pins, one by one, the values that Rollcall reads and those lists call
invalid.
"""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.pipeline.timestamp import TimestampError, TimestampPolicy, parse_timestamp
from tests.support.pipeline.timestamp_oracle import microseconds_of

ROOT = Path(__file__).parents[3]
CORPORA = ROOT.parent / "shared" / "corpora"
FORMATS = CORPORA / "json-schema-formats/tests/draft2020-12/optional/format"
TOML = CORPORA / "toml-test-datetime"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNLIMITED = TimestampPolicy(
    earliest=datetime.min.replace(tzinfo=UTC), max_future=timedelta.max
)
# A leap second is valid at the end of the one or at the start of the other, by offset.
DAYS = ("2016-12-31T", "2017-01-01T")

ACCEPTED = {
    "date-time.json": {"1990-12-31T24:00:00Z", "1985-04-12T23:20:50+01"},
    "date.json": {"2020-11-28T23:55:45Z", "2020-01-01 00:00:00Z", "20230328"},
    "time.json": {"2020-11-28T23:55:45Z"},
    "ipv4.json": {"2130706433"},
    "time.json, behind a date": {
        "24:00:00Z",
        "01:01:01,1111",
        "12:00:00",
        "12:00:00.52",
    },
    "toml-test": {
        "2006-01-01T24:00:00-00:00",
        "2006-01-01T24:00:00",
        "1987-07-05T17:45Z",
        "1987-07-05T17:45",
        "1997-09-09T09:09:09.09+0909",
        "1997-09-09T09:09:09.09+09",
    },
}

needs_corpora = pytest.mark.skipif(
    not CORPORA.is_dir(), reason=f"the public vector lists are not in {CORPORA}"
)


def read(text: str) -> int | None:
    """Microseconds since 1970, or None where it is rejected."""
    try:
        parsed = parse_timestamp(text, received_at=EPOCH, policy=UNLIMITED)
    except TimestampError:
        return None
    return (parsed.instant - EPOCH) // timedelta(microseconds=1)


def read_again(text: str) -> int | None:
    """The same by the independent reading."""
    verdict = microseconds_of(text)
    return verdict if isinstance(verdict, int) else None


def assert_right(texts: Iterable[str]) -> None:
    wrong = {text for text in texts if read(text) != read_again(text)}
    assert wrong == set()


def accepted(texts: set[str]) -> set[str]:
    return {text for text in texts if read(text) is not None}


def format_vectors(name: str) -> tuple[set[str], set[str]]:
    """The valid and the invalid texts of one file of the JSON Schema Test Suite."""
    groups = json.loads((FORMATS / name).read_text(encoding="utf-8"))
    vectors = [
        (test["data"], test["valid"])
        for group in groups
        for test in group["tests"]
        if isinstance(test["data"], str)  # a format says nothing about other types
    ]
    assert vectors
    return {v for v, valid in vectors if valid}, {
        v for v, valid in vectors if not valid
    }


@needs_corpora
@pytest.mark.parametrize("name", ["date-time.json", "date.json"])
def test_json_schema_dates(name: str) -> None:
    valid, invalid = format_vectors(name)
    assert_right(valid | invalid)
    assert accepted(valid) == valid
    assert accepted(invalid) == ACCEPTED[name]


@needs_corpora
def test_json_schema_times_are_no_timestamps_without_a_date() -> None:
    valid, invalid = format_vectors("time.json")
    assert accepted(valid) == set()
    assert accepted(invalid) == ACCEPTED["time.json"]


@needs_corpora
def test_json_schema_times_behind_a_date() -> None:
    valid, invalid = format_vectors("time.json")
    assert_right(day + time for day in DAYS for time in valid | invalid)
    read_somewhere = {
        time for time in valid | invalid if accepted({day + time for day in DAYS})
    }
    assert read_somewhere - invalid == valid
    assert read_somewhere & invalid == ACCEPTED["time.json, behind a date"]


@needs_corpora
def test_other_formats_of_json_schema_are_not_timestamps() -> None:
    names = {path.name for path in FORMATS.glob("*.json")}
    others = names - {"date-time.json", "date.json", "time.json"}
    assert len(others) > 10
    for name in others:
        valid, invalid = format_vectors(name)
        assert accepted(valid | invalid) == ACCEPTED.get(name, set()), name


@needs_corpora
def test_toml_invalid() -> None:
    vectors = json.loads((TOML / "flattened.json").read_text(encoding="utf-8"))
    invalid = {vector["input"] for vector in vectors["invalid"]}
    assert_right(invalid)
    assert accepted(invalid) == ACCEPTED["toml-test"]


@needs_corpora
def test_toml_canonical_values() -> None:
    vectors = json.loads((TOML / "flattened.json").read_text(encoding="utf-8"))
    by_type: dict[str, set[str]] = {}
    for vector in vectors["valid_canonical"]:
        by_type.setdefault(vector["type"], set()).add(vector["canonical"])
    assert accepted(by_type.pop("time-local") | by_type.pop("string")) == set()
    for texts in by_type.values():
        assert accepted(texts) == texts
        assert_right(texts)


def toml_values() -> Iterator[tuple[str, str]]:
    """Each date as its file writes it, with the canonical text of the same value."""
    for path in sorted((TOML / "tests/valid/datetime").glob("*.toml")):
        canonical = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        for line in path.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition("#")[0].partition("=")
            entry = canonical.get(key.strip())
            if entry and entry["type"] in {"datetime", "datetime-local", "date-local"}:
                yield value.strip(), entry["value"]


@needs_corpora
def test_toml_values_as_written() -> None:
    pairs = list(toml_values())
    assert len(pairs) > 20
    for written, canonical in pairs:
        assert read(written) == read_again(canonical), written


@needs_corpora
def test_no_naughty_string_is_a_timestamp() -> None:
    strings = json.loads((CORPORA / "blns/blns.json").read_text(encoding="utf-8"))
    assert len(strings) > 500
    assert accepted(set(strings)) == set()


def test_manual_lists_exactly_the_accepted_vectors() -> None:
    text = (ROOT / "docs/timestamps.md").read_text(encoding="utf-8")
    section = text.partition("\n## Public test vectors\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| `(.+?)` \| .+ \|$", section, re.MULTILINE)
    assert sorted(rows) == sorted(
        (name, text) for name, texts in ACCEPTED.items() for text in texts
    )

"""Run docs/timestamps.md: each of its tables is a list of test cases."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.pipeline.timestamp import (
    TimestampError,
    TimestampPolicy,
    TwoDigitYear,
    format_timestamp,
    parse_timestamp,
)

MANUAL = Path(__file__).parents[3] / "docs/timestamps.md"
RECEIVED_AT = datetime(2026, 11, 21, tzinfo=UTC)


def outcome(sent: str, order: TwoDigitYear = "ymd") -> tuple[str, str]:
    """The cells behind a cell that holds JSON: instant and warnings, or the code."""
    try:
        parsed = parse_timestamp(
            json.loads(sent), received_at=RECEIVED_AT, policy=TimestampPolicy(order)
        )
    except TimestampError as error:
        return error.code, ""
    codes = ", ".join(code for code, _ in parsed.warnings)
    return format_timestamp(parsed.instant), codes


def manual_rows(heading: str) -> list[tuple[str, ...]]:
    """The cells of each row in the first table under a heading, without backticks."""
    section = MANUAL.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
    table = re.search(r"\n\| -.*\n((?:\|.*\n)+)", section)
    assert table
    return [
        tuple(cell.strip().replace("`", "") for cell in line[1:-2].split("|"))
        for line in table[1].splitlines(keepends=True)
    ]


@pytest.mark.parametrize(("sent", "instant", "codes"), manual_rows("Accepted forms"))
def test_documented_timestamps_are_read(sent: str, instant: str, codes: str) -> None:
    assert outcome(sent) == (instant, codes)


@pytest.mark.parametrize(("sent", "code"), manual_rows("Rejected forms"))
def test_documented_timestamps_are_rejected(sent: str, code: str) -> None:
    assert outcome(sent) == (code, "")


def test_every_warning_is_explained_and_shown() -> None:
    explained = [code for code, _, _ in manual_rows("Warnings")]
    shown = {
        code for row in manual_rows("Accepted forms") for code in row[2].split(", ")
    }
    # No row can show what happens to a timestamp that is absent.
    assert sorted(explained) == sorted(shown - {""} | {"timestamp_assumed_received"})


@pytest.mark.parametrize(("order", "expected"), manual_rows("Two-digit years"))
def test_two_digit_years_are_read_by_policy(order: TwoDigitYear, expected: str) -> None:
    assert outcome('"20-11-23T22:28:55.111Z"', order)[0] == expected


def test_first_order_of_two_digit_years_is_the_default() -> None:
    assert manual_rows("Two-digit years")[0][0] == TimestampPolicy().two_digit_year

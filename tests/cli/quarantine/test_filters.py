from datetime import UTC, datetime, timedelta

import pytest
import typer

from app.cli.quarantine.filters import read_since

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("2h", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
        ("4w", timedelta(weeks=4)),
        ("0s", timedelta()),
    ],
)
def test_span_counts_back_from_now(text: str, span: timedelta) -> None:
    assert read_since(text, now=NOW) == NOW - span


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2023-11-02T00:30:08.276Z", datetime(2023, 11, 2, 0, 30, 8, 276000, UTC)),
        ("2023-11-02 06:00+05:30", datetime(2023, 11, 2, 0, 30, tzinfo=UTC)),
        ("2023-11-02T00:30:08", datetime(2023, 11, 2, 0, 30, 8, tzinfo=UTC)),
        ("2023-11-02", datetime(2023, 11, 2, tzinfo=UTC)),
    ],
)
def test_filter_timestamp_is_read_like_that_of_an_event(
    text: str, instant: datetime
) -> None:
    assert read_since(text, now=NOW) == instant


@pytest.mark.parametrize(
    "text",
    [
        *("", "7", "d", "-7d", "7 d", "7D", "1.5h", "7d2h", "\u0667d", "999999999w"),
        *("yesterday", "11/02/2023", "20-11-23T22:28:55Z", "2023-02-30", "9999-01-01"),
    ],
)
def test_invalid_filter_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"2023-11-02T00:30:00Z.*7d"):
        read_since(text, now=NOW)


def test_now_is_the_clocks() -> None:
    assert abs(read_since("0s") - datetime.now(UTC)) < timedelta(minutes=1)

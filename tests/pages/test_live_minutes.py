"""Frames of minute counts."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from app.pages.live.minutes import MINUTE, MinuteCountsStream
from app.store.read.arrivals import Counts, PollResult

NOW = datetime(2026, 11, 22, 1, 2, 30, tzinfo=UTC)
THIS = NOW.replace(second=0)
SECOND = timedelta(seconds=1)


class OneEachMinute:
    """Counts one stored event in any span."""

    async def count(self, since: datetime, until: datetime) -> dict[datetime, Counts]:
        assert since < until
        return {since: Counts(1, 0)}


def minute_counts() -> MinuteCountsStream:
    return MinuteCountsStream(OneEachMinute())  # type: ignore[arg-type]  # a fake


def poll(
    since: datetime, until: datetime, *, stored: int = 0, skipped: int = 0
) -> PollResult:
    minutes = {THIS: Counts(stored, 0)} if stored else {}
    return PollResult([], since, until, minutes, skipped)


def data_of(frame: bytes | None) -> dict[str, Any]:
    assert frame is not None
    [line] = [line for line in frame.split(b"\n") if line.startswith(b"data: ")]
    data: dict[str, Any] = orjson.loads(line.removeprefix(b"data: "))
    return data


def minutes_of(counts: Iterable[list[int]]) -> dict[datetime, tuple[int, ...]]:
    return {datetime.fromtimestamp(at, UTC): tuple(rest) for at, *rest in counts}


def test_changes_sum_skipped_rows_and_wait_between_frames() -> None:
    counts = minute_counts()
    later = NOW + SECOND
    counts.add(poll(NOW, NOW))
    counts.add(poll(NOW, later, stored=5, skipped=3))
    counts.add(poll(later, later, skipped=2))
    assert data_of(counts.changes(later))["skipped"] == 5
    counts.add(poll(later, later, skipped=1))
    assert counts.changes(later) is None


async def test_minute_of_first_poll_has_events_before_and_after_it() -> None:
    counts = minute_counts()
    counts.add(poll(NOW, NOW))
    counts.add(poll(NOW, NOW + SECOND, stored=2))
    # The events of this minute before the first poll are not counted yet.
    assert data_of(counts.all(NOW))["minutes"] == []
    await counts.count_past_minutes()
    found = minutes_of(data_of(counts.all(NOW))["minutes"])
    assert found[THIS] == (3, 0)
    assert found[THIS - MINUTE] == (1, 0)


async def test_minutes_older_than_an_hour_are_dropped() -> None:
    counts = minute_counts()
    counts.add(poll(NOW, NOW))
    while len(data_of(counts.all(NOW))["minutes"]) < 60:
        await counts.count_past_minutes()
    later = NOW + 90 * SECOND
    counts.add(poll(NOW, later))
    found = minutes_of(data_of(counts.all(later))["minutes"])
    assert len(found) == 60
    assert found[THIS + MINUTE] == (0, 0)
    assert THIS - 59 * MINUTE not in found

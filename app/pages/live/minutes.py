"""Number of events in each minute of the last hour, and the stream of changes."""

import time
from collections.abc import Mapping
from datetime import datetime, timedelta

from app.pages.live.frames import frame
from app.store.read.arrivals import Arrivals, Counts, PollResult

MINUTE = timedelta(minutes=1)
_SHOWN = 60
# Less than the longest pause between two polls, so that one write holds both.
_PAUSE_S = 0.8
# Counting past minutes may take this long in one go, and then rests ten times as long.
_COUNTING_S = 0.03
_REST = 10
_NOTHING = Counts(0, 0)


class MinuteCountsStream:
    """Counts of the last hour, complete minute by minute, newest first.

    New events are added as the watermark passes them. Minutes before the first poll
    are counted one at a time: the whole hour could be millions of rows.
    """

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._counts: dict[datetime, Counts] = {}
        self._uncounted: list[datetime] = []
        self._changed: set[datetime] = set()
        self._start: datetime | None = None
        self._skipped = 0
        self._sent_at = self._rest_until = float("-inf")

    def add(self, result: PollResult) -> None:
        """Add the counts of a poll."""
        if self._start is None:
            self._start = result.since
            current = _minute_of(result.since)
            self._uncounted = [current - n * MINUTE for n in reversed(range(_SHOWN))]
        self._skipped += result.skipped
        self._plus(result.minutes)
        current = minute = _minute_of(result.watermark)
        while minute not in self._counts and minute >= _minute_of(self._start):
            self._plus({minute: _NOTHING})
            minute -= MINUTE
        for minute in [m for m in self._counts if m <= current - _SHOWN * MINUTE]:
            del self._counts[minute]

    async def count_past_minutes(self) -> None:
        """Count some minutes before the first poll, within a short time.

        Raises:
            UnavailableError: the database did not respond.
        """
        began = time.monotonic()
        while self._start and self._uncounted and began >= self._rest_until:
            minute = self._uncounted[-1]
            until = min(minute + MINUTE, self._start)
            found = await self._arrivals.count(minute, until)
            self._uncounted.pop()
            self._plus({minute: _NOTHING} | found)
            spent = time.monotonic() - began
            if spent > _COUNTING_S:
                self._rest_until = began + spent * _REST

    def all(self, watermark: datetime) -> bytes:
        """Frame of all minutes, for a new subscriber."""
        return self._frame(set(self._counts), watermark, skipped=0)

    def changes(self, watermark: datetime) -> bytes | None:
        """Frame of the changes since the last; None if too soon or unchanged."""
        now = time.monotonic()
        changed = self._changed - {*self._uncounted}
        if now < self._sent_at + _PAUSE_S or not (changed or self._skipped):
            return None
        self._sent_at = now
        sent = self._frame(changed, watermark, skipped=self._skipped)
        self._changed -= changed
        self._skipped = 0
        return sent

    def _frame(
        self, minutes: set[datetime], watermark: datetime, *, skipped: int
    ) -> bytes:
        known = sorted((minutes & self._counts.keys()) - {*self._uncounted})
        counts = [[int(m.timestamp()), *self._counts[m]] for m in known]
        until = int(watermark.timestamp())
        return frame("minutes", {"until": until, "minutes": counts, "skipped": skipped})

    def _plus(self, found: Mapping[datetime, Counts]) -> None:
        for minute, (stored, rejected) in found.items():
            before = self._counts.get(minute, _NOTHING)
            self._counts[minute] = Counts(
                before.stored + stored, before.rejected + rejected
            )
            self._changed.add(minute)


def _minute_of(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)

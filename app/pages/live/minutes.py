"""What watchers are told of each minute: at most once a second, a little at a time."""

import time
from datetime import datetime

from app.pages.live.frames import minutes_frame
from app.store.read.arrivals import Arrivals, Look
from app.store.read.minutes import Minutes

_PAUSE_S = 1.0
# Counting the last hour goes on for so long in one go, and rests nine times as long.
_SPELL_S = 0.03
_REST = 10


class MinuteNews:
    """The counts of the last hour, and which of them have not been told yet.

    Args:
        arrivals: counts what came before somebody watched.
    """

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._minutes = Minutes()
        self._until: datetime | None = None
        self._changed: set[datetime] = set()
        self._unread = 0
        self._told_at = self._rest_until = float("-inf")

    def begin(self, look: Look) -> None:
        """Before the first look of those who watch now."""
        self._minutes.begin(look.since)
        # What was counted for those before is news to these.
        self._changed = {minute for minute, _ in self._minutes.known()}
        self._unread = 0

    def add(self, look: Look) -> None:
        """Add what a look has counted."""
        self._until = look.settled
        self._changed |= self._minutes.add(look.minutes, until=look.settled)
        self._unread += look.unread

    async def count_gaps(self) -> None:
        """Count some of what came before somebody watched.

        Raises:
            UnavailableError: the database did not answer.
        """
        began = time.monotonic()
        while began >= self._rest_until and (gap := self._minutes.gap()) is not None:
            self._minutes.fill(gap, await self._arrivals.count(*gap))
            self._changed.add(gap[0])
            spent = time.monotonic() - began
            if spent > _SPELL_S:
                self._rest_until = began + spent * _REST

    def tell_all(self, until: datetime) -> bytes:
        """All that is known, for one who is new."""
        return minutes_frame(self._minutes.known(), until=until, unread=0)

    def tell_news(self) -> bytes | None:
        """What has changed since the last time; None if it is too soon, or nothing."""
        now = time.monotonic()
        if self._until is None or now < self._told_at + _PAUSE_S:
            return None
        changed = [item for item in self._minutes.known() if item[0] in self._changed]
        if not changed and not self._unread:
            return None
        frame = minutes_frame(changed, until=self._until, unread=self._unread)
        self._told_at = now
        self._changed.clear()
        self._unread = 0
        return frame

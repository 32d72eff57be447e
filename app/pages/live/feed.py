"""One look for all who watch: taken while somebody does, and handed to each.

Nothing here is the truth: Postgres is, so every worker and replica shows the same.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime

from app.errors import OverloadedError, UnavailableError
from app.pages.live.filter import Filter
from app.pages.live.frames import (
    BEAT,
    START,
    database_frame,
    end_frame,
    missed_frame,
    rows_frame,
)
from app.pages.live.minutes import MinuteNews
from app.pages.live.subscribers import BURST, Channel, Watcher
from app.store.read.arrival import Arrival
from app.store.read.arrivals import Arrivals, Look

log = logging.getLogger(__name__)

_POLL_S = 0.3
# Arrivals that are kept for those who come next.
_KEPT = 500
# How often a watcher's right to watch is asked for, and a silent one is written to.
_BEAT_S = 1.0


class Feed:
    """What arrives, for up to so many watchers.

    Args:
        arrivals: looks at Postgres.
        max_watchers: of this process.
    """

    def __init__(self, arrivals: Arrivals, *, max_watchers: int = 100) -> None:
        self._arrivals = arrivals
        self._max_watchers = max_watchers
        self._channels: dict[Filter, Channel] = {}
        self._minutes = MinuteNews(arrivals)
        self._newest: deque[Arrival] = deque(maxlen=_KEPT)
        self._settled: datetime | None = None
        self._there = True
        self._closed = False
        self._polling: asyncio.Task[None] | None = None

    def check_room(self) -> None:
        """Refuse one watcher too many.

        Raises:
            OverloadedError: as many watch as may, or the service is stopping.
        """
        if not self._has_room():
            raise OverloadedError("Too many watch already; try again in a moment.")

    async def watch(
        self,
        wanted: Filter,
        *,
        after: datetime | None,
        allowed: Callable[[], Awaitable[bool]],
    ) -> AsyncIterator[bytes]:
        """Frames for one watcher, until it may watch no longer or all ends.

        Args:
            wanted: which arrivals.
            after: what arrived until then is known; None for one who is new.
            allowed: asked about once a second.
        """
        watcher = self._join(wanted, after)
        try:
            yield START
            checked_at = time.monotonic()
            while (frame := await watcher.next(within_s=_BEAT_S)) is not None:
                if time.monotonic() - checked_at >= _BEAT_S:
                    checked_at = time.monotonic()
                    if not await allowed():
                        yield end_frame()
                        return
                if watcher.missed:
                    missed, watcher.missed = watcher.missed, 0
                    yield missed_frame(missed)
                yield frame or BEAT
        finally:
            self._leave(wanted, watcher)

    def end(self) -> None:
        """End all streams at once, and take no more."""
        self._closed = True
        for watcher in self._watchers():
            watcher.end()

    async def stop(self) -> None:
        """End all streams, and wait until the database is left alone."""
        self.end()
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.wait([self._polling])

    def _has_room(self) -> bool:
        return not self._closed and len(self._watchers()) < self._max_watchers

    def _watchers(self) -> list[Watcher]:
        return [w for channel in self._channels.values() for w in channel.watchers]

    def _join(self, wanted: Filter, after: datetime | None) -> Watcher:
        watcher = Watcher()
        # Many may have come at once, each of whom there was room for alone.
        if not self._has_room():
            watcher.end()
        if not self._there:
            watcher.give(database_frame(there=False))
        if self._settled is not None:
            newest = wanted.select(
                arrival
                for arrival in self._newest
                if after is None or arrival.stored_at > after
            )
            watcher.give(
                rows_frame(newest[:BURST], left_out=0, settled=self._settled)
                + self._minutes.tell_all(self._settled)
            )
        channel = self._channels.get(wanted)
        if channel is None:
            channel = self._channels[wanted] = Channel(wanted, now=time.monotonic())
        channel.watchers.add(watcher)
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._poll())
        return watcher

    def _leave(self, wanted: Filter, watcher: Watcher) -> None:
        channel = self._channels[wanted]
        channel.watchers.remove(watcher)
        if not channel.watchers:
            del self._channels[wanted]

    async def _poll(self) -> None:
        """Look again and again, while somebody watches."""
        while self._channels:
            began = time.monotonic()
            try:
                limit = max(c.appetite for c in self._channels.values())
                self._publish(await self._arrivals.look(limit=limit))
                await self._minutes.count_gaps()
                if frame := self._minutes.tell_news():
                    self._tell_all(frame)
                self._tell_whether_there(there=True)
            except UnavailableError:
                self._tell_whether_there(there=False)
            except Exception:
                log.exception("the live feed failed")
                self._tell_whether_there(there=False)
            # At intervals: others store, too, and to be told would cost each of their
            # commits a NOTIFY. At most half of the time, however slow Postgres is.
            await asyncio.sleep(max(_POLL_S, time.monotonic() - began))
        self._arrivals.forget()
        self._newest.clear()
        self._settled = None

    def _publish(self, look: Look) -> None:
        now = time.monotonic()
        first = self._settled is None
        if first:
            self._minutes.begin(look)
        self._minutes.add(look)
        self._settled = look.settled
        self._newest.extendleft(reversed(look.arrivals))
        for channel in self._channels.values():
            shown, left_out = channel.take(look.arrivals, now=now)
            if shown or left_out:
                frame = rows_frame(
                    # Of what was there before anybody watched, nothing is missing.
                    shown,
                    left_out=0 if first else left_out,
                    settled=look.settled,
                )
                channel.give(frame, rows=len(shown))

    def _tell_whether_there(self, *, there: bool) -> None:
        if there != self._there:
            self._there = there
            self._tell_all(database_frame(there=there))

    def _tell_all(self, frame: bytes) -> None:
        for watcher in self._watchers():
            watcher.give(frame)

"""Live feed: polls Postgres while somebody watches, and sends each row to everybody.

Postgres is the only source, so all workers and replicas show the same events.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime

from app.pages.live.frames import HEARTBEAT, START, frame
from app.pages.live.minutes import MinuteCountsStream
from app.pages.live.subscribers import BURST, LiveFilter, Subscriber
from app.request_errors import OverloadedError, UnavailableError
from app.store.read.arrival import Arrival
from app.store.read.arrivals import Arrivals, PollResult

log = logging.getLogger(__name__)

_POLL_S = 0.3
# At more events a second, polls and writes to many streams would slow the writers down,
# and nobody could read rows that arrive faster than they do with this pause.
_BUSY_RATE = 100
_BUSY_POLL_S = 0.9
# Arrivals kept for subscribers that join later.
_KEPT = 500
# Interval of checking permission, and of heartbeats to an idle stream.
_HEARTBEAT_S = 1.0


class LiveFeed:
    """Streams of arrivals, to a limited number of subscribers of this process."""

    def __init__(self, arrivals: Arrivals, *, max_subscribers: int = 100) -> None:
        self._arrivals = arrivals
        self._max_subscribers = max_subscribers
        self._subscribers: set[Subscriber] = set()
        self._minutes = MinuteCountsStream(arrivals)
        self._newest: deque[Arrival] = deque(maxlen=_KEPT)
        self._watermark: datetime | None = None
        self._is_available = True
        self._closed = False
        self._polling: asyncio.Task[None] | None = None

    def check_room(self) -> None:
        """Refuse one subscriber too many.

        Raises:
            OverloadedError: the limit is reached, or the service is stopping.
        """
        if self._closed or len(self._subscribers) >= self._max_subscribers:
            raise OverloadedError("Too many live pages are open. Try again later.")

    async def watch(
        self,
        wanted: LiveFilter,
        *,
        after: datetime | None,
        allowed: Callable[[], Awaitable[bool]],
    ) -> AsyncIterator[bytes]:
        """Frames for one subscriber, until its permission or the service ends.

        Args:
            wanted: filter of the rows.
            after: watermark seen by a reconnecting subscriber; None for a new one.
            allowed: permission, checked about once a second.
        """
        subscriber = self._join(wanted, after)
        try:
            yield START
            checked_at = time.monotonic()
            while (data := await subscriber.next(within_s=_HEARTBEAT_S)) is not None:
                if time.monotonic() - checked_at >= _HEARTBEAT_S:
                    checked_at = time.monotonic()
                    if not await allowed():
                        yield frame("end", {"reason": "signed_out"})
                        return
                yield data or HEARTBEAT
        finally:
            self._subscribers.discard(subscriber)

    def end(self) -> None:
        """End all streams at once and accept no more."""
        self._closed = True
        for subscriber in self._subscribers:
            subscriber.close()

    async def stop(self) -> None:
        """End all streams and wait until polling has stopped."""
        self.end()
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.wait([self._polling])

    def _join(self, wanted: LiveFilter, after: datetime | None) -> Subscriber:
        subscriber = Subscriber(wanted)
        try:
            # Several may have passed the same check before any of them joined.
            self.check_room()
        except OverloadedError:
            subscriber.close()
        if not self._is_available:
            subscriber.send(_database_frame(is_available=False))
        if self._watermark is not None:
            fresh = [a for a in self._newest if after is None or a.stored_at > after]
            rows = wanted.select(fresh)[:BURST]
            subscriber.send(
                _rows_frame(rows, 0, self._watermark)
                + self._minutes.all(self._watermark)
            )
        self._subscribers.add(subscriber)
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._poll_while_watched())
        return subscriber

    async def _poll_while_watched(self) -> None:
        while self._subscribers:
            began = time.monotonic()
            pause_s = _POLL_S
            try:
                limit = max(each.row_limit for each in self._subscribers)
                result = await self._arrivals.poll(limit=limit)
                pause_s = pause_after(result)
                self._publish(result)
                await self._minutes.count_past_minutes()
                if changes := self._minutes.changes(result.watermark):
                    self._send_all(changes)
                self._set_available(is_available=True)
            except Exception as error:
                if not isinstance(error, UnavailableError):
                    log.exception("live feed: poll failed")
                self._set_available(is_available=False)
            # NOTIFY would cost each commit of each writer. A slow database is polled
            # at most half of the time.
            await asyncio.sleep(max(pause_s, time.monotonic() - began))
        self._arrivals.reset()
        self._minutes = MinuteCountsStream(self._arrivals)
        self._newest.clear()
        self._watermark = None

    def _publish(self, result: PollResult) -> None:
        is_first = self._watermark is None
        self._watermark = result.watermark
        self._minutes.add(result)
        self._newest.extendleft(reversed(result.arrivals))
        filters = {each.wanted for each in self._subscribers}
        matching = {wanted: wanted.select(result.arrivals) for wanted in filters}
        frames: dict[tuple[LiveFilter, int], bytes] = {}
        for subscriber in self._subscribers:
            rows = matching[subscriber.wanted]
            if not rows:
                continue
            shown = subscriber.allow(len(rows))
            key = subscriber.wanted, shown
            if key not in frames:
                # Older rows than the first poll shows are not missing.
                left_out = 0 if is_first else len(rows) - shown
                frames[key] = _rows_frame(rows[:shown], left_out, result.watermark)
            subscriber.send(frames[key], rows=shown)

    def _set_available(self, *, is_available: bool) -> None:
        if is_available != self._is_available:
            self._is_available = is_available
            self._send_all(_database_frame(is_available=is_available))

    def _send_all(self, data: bytes) -> None:
        for subscriber in self._subscribers:
            subscriber.send(data)


def pause_after(result: PollResult) -> float:
    """Seconds until the next poll: longer while many events arrive."""
    events = sum(map(sum, result.minutes.values()))
    seconds = (result.watermark - result.since).total_seconds()
    return _BUSY_POLL_S if events > _BUSY_RATE * seconds else _POLL_S


def _rows_frame(rows: list[Arrival], left_out: int, watermark: datetime) -> bytes:
    data = {"rows": [row._asdict() for row in rows], "left_out": left_out}
    return frame("rows", data, watermark=watermark)


def _database_frame(*, is_available: bool) -> bytes:
    return frame("database", {"available": is_available})

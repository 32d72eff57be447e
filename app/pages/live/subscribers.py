"""Who watches the same: what of a look they are sent, and how much of it."""

import asyncio
from collections import deque

from app.pages.live.filter import Filter
from app.store.read.arrival import Arrival

# Rows that a channel sends at once, and a second in the long run: nobody reads more.
BURST = 200
RATE = 50
# Rows of each kind that one look reads for a filter: it may match any of them.
_READ = 400
# Frames that wait for a slow watcher; each is at most some 150 KB.
_WAITING = 8


class Watcher:
    """One stream: the frames that wait for it.

    Attributes:
        missed: rows that it was not given, because too many frames waited.
    """

    def __init__(self) -> None:
        self.missed = 0
        self._frames: deque[bytes] = deque()
        self._ended = False
        self._news = asyncio.Event()

    def give(self, frame: bytes, *, rows: int = 0) -> None:
        """Send a frame, if not too many are waiting.

        Args:
            frame: one or more.
            rows: of arrivals that are in it.
        """
        if len(self._frames) >= _WAITING:
            self.missed += rows
            return
        self._frames.append(frame)
        self._news.set()

    def end(self) -> None:
        """Let it have no more."""
        self._ended = True
        self._news.set()

    async def next(self, *, within_s: float) -> bytes | None:
        """The next frame; empty if there is none within the time, None at the end."""
        try:
            async with asyncio.timeout(within_s):
                await self._news.wait()
        except TimeoutError:
            return b""
        if self._ended:
            return None
        frame = self._frames.popleft()
        if not self._frames:
            self._news.clear()
        return frame


class Channel:
    """The watchers of one filter, who are all sent the same.

    Args:
        wanted: the filter.
        now: seconds, on the clock of `take`.

    Attributes:
        watchers: at least one.
    """

    def __init__(self, wanted: Filter, *, now: float) -> None:
        self.watchers: set[Watcher] = set()
        self._wanted = wanted
        self._room = float(BURST)
        self._at = now

    @property
    def appetite(self) -> int:
        """How many rows of each kind the next look should read for it."""
        return _READ if self._wanted.narrow else max(1, int(self._room))

    def give(self, frame: bytes, *, rows: int) -> None:
        """Send a frame with so many rows to all."""
        for watcher in self.watchers:
            watcher.give(frame, rows=rows)

    def take(self, arrivals: list[Arrival], *, now: float) -> tuple[list[Arrival], int]:
        """The newest that match, as many as there is room for; and how many more.

        Args:
            arrivals: the newest first.
            now: seconds, on a clock that never goes back.
        """
        self._room = min(BURST, self._room + (now - self._at) * RATE)
        self._at = now
        matching = self._wanted.select(arrivals)
        shown = matching[: int(self._room)]
        self._room -= len(shown)
        return shown, len(matching) - len(shown)

"""Filter, rate limit and outgoing queue of one browser that watches."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from app.api.query import FormText
from app.pages.live.frames import frame
from app.store.read.arrival import Arrival

# Rows sent at once, and a second in the long run. Nobody can read more.
BURST = 200
RATE = 50
# Rows of each status that a poll reads for a filter, which may match any of them.
_FILTERED_ROWS = 1200
# Frames that wait for a slow browser; each has at most about 150 KB.
_MAX_FRAMES = 8


class LiveFilter(BaseModel):
    """Query of the live page: arrivals that match each field that is set."""

    model_config = ConfigDict(frozen=True)

    # `all` is in links to this page, and in docs/console.md.
    status: Annotated[
        Literal["stored", "rejected", ""],
        BeforeValidator(lambda value: "" if value == "all" else value),
    ] = ""
    event: FormText = None
    source: FormText = None
    user_id: FormText = None
    group_id: FormText = None
    reason: FormText = None

    @property
    def is_narrow(self) -> bool:
        """Whether it excludes anything."""
        return any(value for _, value in self)

    def select(self, arrivals: Iterable[Arrival]) -> list[Arrival]:
        """The arrivals that match, in the same order."""
        wanted = [(name, value) for name, value in self if value]
        return [a for a in arrivals if all(getattr(a, k) == v for k, v in wanted)]


class Subscriber:
    """One stream."""

    def __init__(self, wanted: LiveFilter) -> None:
        self.wanted = wanted
        self._allowance = float(BURST)
        self._at = time.monotonic()
        self._frames: deque[bytes] = deque()
        self._missed = 0
        self._closed = False
        self._wake = asyncio.Event()

    @property
    def row_limit(self) -> int:
        """Rows of each status that the next poll should read for it."""
        return _FILTERED_ROWS if self.wanted.is_narrow else max(1, int(self._allowance))

    def allow(self, rows: int) -> int:
        """How many of so many rows may be sent now; they count as sent."""
        now = time.monotonic()
        earned = (now - self._at) * RATE
        self._allowance = min(BURST, self._allowance + earned)
        self._at = now
        allowed = min(rows, int(self._allowance))
        self._allowance -= allowed
        return allowed

    def send(self, data: bytes, *, rows: int = 0) -> None:
        """Queue a frame, unless too many are waiting.

        Args:
            data: one or more frames.
            rows: arrivals in it, which are reported if it is dropped.
        """
        if len(self._frames) >= _MAX_FRAMES:
            self._missed += rows
            return
        self._frames.append(data)
        self._wake.set()

    def close(self) -> None:
        """End the stream at once."""
        self._closed = True
        self._wake.set()

    async def next(self, *, within_s: float) -> bytes | None:
        """The waiting frames; empty after the time limit, None at the end."""
        try:
            async with asyncio.timeout(within_s):
                await self._wake.wait()
        except TimeoutError:
            return b""
        if self._closed:
            return None
        data = b"".join(self._frames)
        self._frames.clear()
        self._wake.clear()
        if self._missed:
            data = frame("missed", {"rows": self._missed}) + data
            self._missed = 0
        return data

"""Filter, rate limit and outgoing queue of one browser that watches."""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict

from app.api.query import Wanted
from app.pages.live.frames import frame
from app.store.read.arrival import Arrival

# Rows sent at once, and a second in the long run. Nobody can read more.
BURST = 200
RATE = 50
# Rows of each status that a poll reads for a filter, which may match any of them.
_FILTERED_ROWS = 400
# Frames that wait for a slow browser; each has at most about 150 KB.
_MAX_FRAMES = 8


def _none_if_unset(value: object) -> object:
    return None if value in ("", "all") else value


Part: TypeAlias = Annotated[Wanted, BeforeValidator(_none_if_unset)]


class LiveFilter(BaseModel):
    """Query of the live page: arrivals that match each field that is set."""

    model_config = ConfigDict(frozen=True)

    status: Annotated[
        Literal["stored", "rejected"] | None, BeforeValidator(_none_if_unset)
    ] = None
    event: Part = None
    source: Part = None
    user_id: Part = None
    group_id: Part = None
    reason: Part = None

    @property
    def is_narrow(self) -> bool:
        """Whether it excludes anything."""
        return bool(self.model_dump(exclude_none=True))

    def select(self, arrivals: Iterable[Arrival]) -> list[Arrival]:
        """The arrivals that match, in the same order."""
        wanted = self.model_dump(exclude_none=True).items()
        return [a for a in arrivals if all(getattr(a, k) == v for k, v in wanted)]


class Subscriber:
    """One stream.

    Args:
        wanted: filter of the rows.
        now: seconds on a monotonic clock.
    """

    def __init__(self, wanted: LiveFilter, *, now: float) -> None:
        self.wanted = wanted
        self._allowance = float(BURST)
        self._at = now
        self._frames: deque[bytes] = deque()
        self._missed = 0
        self._closed = False
        self._wake = asyncio.Event()

    @property
    def row_limit(self) -> int:
        """Rows of each status that the next poll should read for it."""
        return _FILTERED_ROWS if self.wanted.is_narrow else max(1, int(self._allowance))

    def allow(self, rows: int, *, now: float) -> int:
        """How many of so many rows may be sent now; they count as sent."""
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
        """The next frame; empty after the time limit, None at the end."""
        try:
            async with asyncio.timeout(within_s):
                await self._wake.wait()
        except TimeoutError:
            return b""
        if self._closed:
            return None
        data = self._frames.popleft()
        if not self._frames:
            self._wake.clear()
        if self._missed:
            data = frame("missed", {"rows": self._missed}) + data
            self._missed = 0
        return data

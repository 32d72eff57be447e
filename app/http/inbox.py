"""Spreads the bytes of clients without a known key over iterations of the event loop.

The loop hands over the bytes of every readable connection before it does anything else.
To answer thousands of connections that send at the same moment would take seconds, in
which nobody else is served. Therefore only some are parsed in an iteration of the loop.
The bytes of the others are kept, with the time of their arrival.

A request with a known key is parsed at once, because that costs little: it is queued by
the scheduler, or refused.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from app.http.flow import PauseReason
from app.ingest.load.iteration_budget import IterationBudget
from app.request_errors import OverloadedError, RequestError

# Connections without a known key whose bytes are parsed in one iteration of the event
# loop. An iteration with so many refusals or documents takes 5 ms, and a request of a
# known sender waits for some four iterations. One whose bytes are large counts for
# several, because 60 KB of headers take 4 ms.
PER_ITERATION = 16
_SMALL_BYTES = 4 * 1024
# Above it, a connection is not read until its bytes are parsed.
_MAX_BYTES_OF_ONE = 16 * 1024
# Above it, a connection is refused unless its bytes are small, as those of a probe.
_MAX_BYTES = 8 * 1024 * 1024


class Inbox:
    """The connections of a worker that wait until their bytes are parsed.

    Args:
        call_soon: has the event loop call a function in its next iteration.

    Attributes:
        size: bytes that wait.
    """

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self.size = 0
        self._waiting: deque[ConnectionInbox] = deque()
        self._iteration = IterationBudget(PER_ITERATION, call_soon, self._parse_waiting)

    def has_room(self, size: int) -> bool:
        """Whether so many bytes that arrive now are parsed at once."""
        if self._waiting or not self._iteration.fits(1):
            return False
        self._iteration.take(_cost_of(size))
        return True

    def add(self, arrivals: "ConnectionInbox", size: int) -> None:
        """Have a connection wait, or wait with more bytes.

        Args:
            arrivals: those of the connection.
            size: bytes that are added to them.

        Raises:
            OverloadedError: too many bytes wait to take these.
        """
        is_large = len(arrivals.waiting) + size > _SMALL_BYTES
        if is_large and self.size + size > _MAX_BYTES:
            raise OverloadedError("Too many large requests wait; send this again.")
        if not arrivals.waiting:
            self._waiting.append(arrivals)
        self.size += size

    def _parse_waiting(self) -> None:
        while self._waiting and self._iteration.fits(1):
            arrivals = self._waiting.popleft()
            cost = _cost_of(len(arrivals.waiting))
            is_known = False
            try:
                is_known = arrivals.take()
            finally:  # a defect in one must not keep all others waiting for ever
                if not is_known:
                    self._iteration.take(cost)


class Receiving(Protocol):
    """A connection whose bytes may have to wait."""

    def arrival_time(self) -> float:
        """When the bytes arrived that are added now, on the loop's clock."""

    def parse(self, data: bytes) -> bool:
        """Parse bytes, and return whether their sender has shown a known key."""

    def pause(self, reason: PauseReason, *, paused: bool = True) -> None:
        """Read nothing more, or go on."""

    def refuse(self, error: RequestError) -> None:
        """Answer with an error, and end the connection."""


class ConnectionInbox:
    """The bytes of a connection, from their arrival until they are parsed.

    Args:
        inbox: of the worker.
        connection: parses them then.
        is_known: guesses whether the bytes of a new connection have a known key.

    Attributes:
        waiting: the bytes that were not parsed yet.
    """

    __slots__ = ("_arrived_at", "_connection", "_inbox", "_is_known", "waiting")

    def __init__(
        self,
        inbox: Inbox,
        connection: Receiving,
        *,
        is_known: Callable[[bytes], bool],
    ) -> None:
        self._inbox = inbox
        self._connection = connection
        self._is_known = is_known
        self._arrived_at = connection.arrival_time()
        self.waiting = b""

    def add(self, data: bytes, *, at_once: bool) -> None:
        """Parse bytes now, or when it is their turn.

        Args:
            data: the bytes.
            at_once: whether their sender is known.
        """
        if at_once or self._inbox.has_room(len(data)) or self._is_known(data):
            self._arrived_at = self._connection.arrival_time()
            self.take(data)
            return
        if not self.waiting:
            self._arrived_at = self._connection.arrival_time()
        try:
            self._inbox.add(self, len(data))
        except OverloadedError as error:
            self._connection.refuse(error)
            return
        self.waiting += data
        if len(self.waiting) > _MAX_BYTES_OF_ONE:
            self._connection.pause("turn")

    def take(self, last: bytes = b"") -> bool:
        """Parse the bytes that wait, and return whether their sender is known.

        Args:
            last: more bytes behind them.
        """
        waiting = self._clear()
        if waiting:
            self._connection.pause("turn", paused=False)
        elif not last:
            return True
        return self._connection.parse(waiting + last)

    def close(self) -> None:
        """The connection ended; leave no cycle for the garbage collector."""
        self._clear()
        del self._connection

    def _clear(self) -> bytes:
        waiting, self.waiting = self.waiting, b""
        self._inbox.size -= len(waiting)
        return waiting

    def arrived_at(self) -> float:
        """When the bytes arrived that are parsed now."""
        return self._arrived_at


def _cost_of(size: int) -> int:
    return 1 + size // _SMALL_BYTES

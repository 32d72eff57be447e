"""Spreads the bytes of clients without a known key over the turns of the event loop.

The loop hands over the bytes of every readable connection before it does anything else.
To answer thousands of connections that send at the same moment would take seconds, in
which nobody else is served. Therefore only some are parsed in a turn of the loop. The
bytes of the others are kept, with the time of their arrival.

A request with a known key is parsed at once, because that costs little: it is queued by
the scheduler, or refused.
"""

from collections import deque
from collections.abc import Callable

# Connections without a known key whose bytes are parsed in one turn of the event loop.
# A turn with so many refusals or documents takes 5 ms, and a request of a known sender
# waits for some four turns.
PER_TURN = 16
# Bytes that are kept; more are parsed at once.
_MAX_BYTES = 8 * 1024 * 1024


class Inbox:
    """The connections of a worker that wait until their bytes are parsed.

    Args:
        call_soon: has the event loop call a function in its next turn.

    Attributes:
        size: bytes that wait.
    """

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._call_soon = call_soon
        self._left = PER_TURN
        self.size = 0
        # None is left while any waits.
        self._waiting: deque[tuple[Arrivals, int]] = deque()

    def has_room(self) -> bool:
        """Whether bytes that arrive now are parsed at once."""
        if self._left == PER_TURN:
            self._call_soon(self._turn)
        if not self._left:
            return self.size > _MAX_BYTES
        self._left -= 1
        return True

    def add(self, arrival: "Arrivals", size: int) -> None:
        """Have a connection wait; once for each part that arrived.

        Args:
            arrival: the connection.
            size: of the part.
        """
        self._waiting.append((arrival, size))
        self.size += size

    def _turn(self) -> None:
        left = PER_TURN
        while left and self._waiting:
            arrival, size = self._waiting.popleft()
            self.size -= size
            left -= not arrival.take()
        if self._waiting:
            self._call_soon(self._turn)
        else:
            self._left = PER_TURN


class Arrivals:
    """The bytes of a connection, from their arrival until they are parsed.

    Args:
        inbox: of the worker.
        clock: tells when the bytes arrived that are added now, on the loop's clock.
        is_known: guesses whether the bytes of a new connection have a known key.
        parse: takes them then, and returns whether their sender is known.

    Attributes:
        waiting: the bytes that were not parsed yet.
    """

    __slots__ = ("_arrived_at", "_clock", "_inbox", "_is_known", "_parse", "waiting")

    def __init__(
        self,
        inbox: Inbox,
        *,
        clock: Callable[[], float],
        is_known: Callable[[bytes], bool],
        parse: Callable[[bytes], bool],
    ) -> None:
        self._inbox = inbox
        self._clock = clock
        self._is_known = is_known
        self._parse = parse
        self._arrived_at = clock()
        self.waiting = b""

    def add(self, data: bytes, *, at_once: bool) -> None:
        """Parse bytes now, or when it is their turn.

        Args:
            data: the bytes.
            at_once: whether their sender is known.
        """
        if at_once or self._inbox.has_room() or self._is_known(data):
            self.waiting += data
            self._arrived_at = self._clock()
            self.take()
        else:
            if not self.waiting:
                self._arrived_at = self._clock()
            self.waiting += data
            self._inbox.add(self, len(data))

    def take(self) -> bool:
        """Parse the bytes that arrived; returns whether their sender is known."""
        data, self.waiting = self.waiting, b""
        return not data or self._parse(data)

    def close(self) -> None:
        """The connection ended; leave no cycle for the garbage collector."""
        self.waiting = b""
        del self._clock, self._parse

    def arrived_at(self) -> float:
        """When the bytes arrived that are parsed now."""
        return self._arrived_at

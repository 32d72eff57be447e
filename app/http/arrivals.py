"""The bytes of a connection, from their arrival until they are parsed."""

from collections.abc import Callable

from app.http.inbox import Inbox


class Arrivals:
    """Keeps bytes that arrived until the inbox says that it is their turn.

    Args:
        inbox: of the worker.
        clock: that of the loop.
        parse: takes them then.

    Attributes:
        waiting: the bytes that were not parsed yet.
    """

    __slots__ = ("_arrived_at", "_clock", "_inbox", "_parse", "waiting")

    def __init__(
        self,
        inbox: Inbox,
        clock: Callable[[], float],
        parse: Callable[[bytes], None],
    ) -> None:
        self._inbox = inbox
        self._clock = clock
        self._parse = parse
        self._arrived_at = clock()
        self.waiting = b""

    def add(self, data: bytes) -> None:
        """Parse these bytes now or later."""
        if self._inbox.has_room():
            self.waiting += data
            self._arrived_at = self._clock()
            self.take()
        else:
            if not self.waiting:
                self._arrived_at = self._clock()
            self.waiting += data
            self._inbox.add(self, len(data))

    def take(self) -> None:
        """Parse the bytes that arrived."""
        data, self.waiting = self.waiting, b""
        if data:
            self._parse(data)

    def arrived_at(self) -> float:
        """When the bytes arrived that are parsed now."""
        return self._arrived_at

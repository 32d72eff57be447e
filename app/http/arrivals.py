"""The bytes of a connection, from their arrival until they are parsed."""

from collections.abc import Callable

from app.http.inbox import Inbox


class Arrivals:
    """Keeps bytes that arrived until the inbox says that it is their turn.

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

    def arrived_at(self) -> float:
        """When the bytes arrived that are parsed now."""
        return self._arrived_at

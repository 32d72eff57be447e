"""Spaces out repeated requests of many clients, so that they take a bounded time.

A flood of refusals, or of documents for clients without a key, would take all the time
there is. Each client is answered, and its next request is left unread for a while: TCP
holds it back.
"""

from collections.abc import Callable


class Pacer:
    """Gives each request of a group its place in a sequence.

    Args:
        max_pause_s: the longest pause of one connection.
        clock: monotonic seconds.
    """

    __slots__ = ("_clock", "_max_pause_s", "_next_at")

    def __init__(self, max_pause_s: float, clock: Callable[[], float]) -> None:
        self._max_pause_s = max_pause_s
        self._clock = clock
        self._next_at = float("-inf")

    def pause_s(self, rate: float) -> float:
        """How long to leave the connection unread whose request was answered now.

        Args:
            rate: requests of the group in a second.
        """
        now = self._clock()
        self._next_at = max(now, self._next_at + 1 / rate)
        self._next_at = min(self._next_at, now + self._max_pause_s)
        return self._next_at - now

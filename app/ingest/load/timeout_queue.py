"""Many timeouts of one length, on one timer of the event loop.

A timer for each request costs more than most stages of a request. Where all timeouts
are equally long, the oldest is due first, so a queue and one timer suffice.
"""

import asyncio
import logging
from collections import deque
from typing import Protocol

log = logging.getLogger(__name__)


class Timed(Protocol):
    """Something with a deadline.

    Attributes:
        is_done: whether the deadline no longer matters.
    """

    is_done: bool

    def expire(self) -> None:
        """The deadline has passed."""


class TimeoutQueue:
    """Deadlines that are all equally far away.

    Args:
        delay_s: how far.
    """

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        # (deadline, item) pairs in deadline order, on the loop's clock.
        self._pending: deque[tuple[float, Timed]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, item: Timed, began_at: float) -> None:
        """Have an item expire, if it is not done in time.

        Args:
            item: with a deadline.
            began_at: when its time began, on the loop's clock.
        """
        pending = self._pending
        while pending and pending[0][1].is_done:
            pending.popleft()
        due_at = began_at + self.delay_s
        timer = self._timer
        if (pending and due_at < pending[-1][0]) or (timer and due_at < timer.when()):
            # Its time began before its turn.
            asyncio.get_running_loop().call_at(due_at, _expire, item)
            return
        pending.append((due_at, item))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(due_at, self._expire)

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        pending = self._pending
        self._timer = None
        while pending and (pending[0][1].is_done or pending[0][0] <= loop.time()):
            _, item = pending.popleft()
            _expire(item)
        if pending and self._timer is None:
            self._timer = loop.call_at(pending[0][0], self._expire)


def _expire(item: Timed) -> None:
    if item.is_done:
        return
    try:
        item.expire()
    except Exception:
        # The deadlines of all other requests depend on the loop that calls this.
        log.exception("a deadline failed")

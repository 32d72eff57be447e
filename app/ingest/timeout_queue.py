"""Many deadlines of one length, on one timer of the event loop.

A timer for each request costs more than most of what a request does. Where all wait
equally long, whoever began first is due first: so a queue does, and one timer.
"""

import asyncio
from collections import deque
from typing import Any


class Alarms:
    """Deadlines that are all equally far away.

    Args:
        delay_s: how far.
    """

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        # When each is due, on the loop's clock, and what has come by then or never.
        self._set: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def set(self, future: asyncio.Future[Any]) -> None:
        """Have a future raise `TimeoutError` if it is not done in time."""
        loop = asyncio.get_running_loop()
        waiting = self._set
        while waiting and waiting[0][1].done():
            waiting.popleft()
        due_at = loop.time() + self.delay_s
        waiting.append((due_at, future))
        if self._timer is None:
            self._timer = loop.call_at(due_at, self._ring)

    def _ring(self) -> None:
        loop = asyncio.get_running_loop()
        waiting = self._set
        while waiting and (waiting[0][1].done() or waiting[0][0] <= loop.time()):
            _, future = waiting.popleft()
            if not future.done():
                future.set_exception(TimeoutError())
        self._timer = None
        if waiting:
            self._timer = loop.call_at(waiting[0][0], self._ring)

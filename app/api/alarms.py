"""Many deadlines of one length, on one timer of the event loop.

A timer for each request costs more than most of what a request does. Where all wait
equally long, whoever began first is due first: so a queue does, and one timer.
"""

import asyncio
from collections import deque
from types import TracebackType
from typing import Any


class Alarms:
    """Deadlines that are all equally far away.

    Args:
        delay_s: how far.
    """

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        self._set: deque[Alarm] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def set(self) -> "Alarm":
        """A deadline for the current task, to be entered at once."""
        loop = asyncio.get_running_loop()
        waiting = self._set
        while waiting and waiting[0].task is None:
            waiting.popleft()
        alarm = Alarm(loop.time() + self.delay_s)
        waiting.append(alarm)
        if self._timer is None:
            self._timer = loop.call_at(alarm.due_at, self._ring)
        return alarm

    def _ring(self) -> None:
        loop = asyncio.get_running_loop()
        waiting = self._set
        while waiting and (waiting[0].task is None or waiting[0].due_at <= loop.time()):
            waiting.popleft().ring()
        self._timer = None
        if waiting:
            self._timer = loop.call_at(waiting[0].due_at, self._ring)


class Alarm:
    """One deadline, as `asyncio.timeout` is one: off when its context is left.

    Attributes:
        task: what is cancelled when the time is up; None once it is off.
        due_at: on the loop's clock.
    """

    __slots__ = ("_cancelling", "_rang", "due_at", "task")

    def __init__(self, due_at: float) -> None:
        self.task = asyncio.current_task()
        self.due_at = due_at
        self._rang: asyncio.Task[Any] | None = None
        self._cancelling = 0 if self.task is None else self.task.cancelling()

    def ring(self) -> None:
        """Cancel the task, if the context is not left yet."""
        self._rang, self.task = self.task, None
        if self._rang is not None:
            self._rang.cancel()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Turn the alarm off.

        Raises:
            TimeoutError: it rang, and nobody else has cancelled the task.
        """
        self.task = None
        if self._rang is None:
            return
        nobody_else = self._rang.uncancel() <= self._cancelling
        if nobody_else and kind is asyncio.CancelledError:
            raise TimeoutError from error

"""How far a long command is: a bar on a terminal, else a line now and then."""

import time
from collections.abc import Callable
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

_LINE_EVERY_S = 10.0


class RowProgress:
    """Prints the number of rows, the rate and the remaining time to stderr.

    Args:
        name: of the input.
        total: its bytes; None where that is not known.
        console: that writes to stderr.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        name: str,
        *,
        total: int | None,
        console: Console,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._told_s = 0.0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rows]}"),
            TimeRemainingColumn(),
            console=console,
            get_time=clock,
            disable=not console.is_terminal,
        )
        task = self._bar.add_task(escape(name), total=total, rows="")
        self._task = self._bar.tasks[task]

    @property
    def elapsed_s(self) -> float:
        """Seconds since the beginning."""
        return self._task.elapsed or 0.0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def update(self, *, rows: int, position: int) -> None:
        """Print the progress.

        Args:
            rows: done since the beginning.
            position: bytes done of the total.
        """
        now_s = self.elapsed_s
        text = f"{rows:,} rows, {rows / max(now_s, 0.001):,.0f} rows/s"
        self._bar.update(self._task.id, completed=position, rows=text)
        if not self._console.is_terminal and now_s - self._told_s >= _LINE_EVERY_S:
            self._told_s = now_s
            if self._task.total and position:
                left_s = now_s * max(self._task.total - position, 0) / position
                text += f", {self._task.percentage:.0f}%, about {left_s:.0f} s left"
            self.say(text)

    def say(self, text: str) -> None:
        """Write a line above the bar."""
        self._console.print(Text(text), soft_wrap=True)

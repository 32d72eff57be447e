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
        self._total = total
        self._console = console
        self._clock = clock
        self._began = self._told = clock()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rows]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(escape(name), total=total, rows="")

    @property
    def elapsed_s(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._began

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
        rate = rows / max(self.elapsed_s, 0.001)
        text = f"{rows:,} rows, {rate:,.0f} rows/s"
        self._bar.update(self._task, completed=position, rows=text)
        now = self._clock()
        if not self._console.is_terminal and now - self._told >= _LINE_EVERY_S:
            self._told = now
            self.say(text + self._remaining(position))

    def say(self, text: str) -> None:
        """Write a line above the bar."""
        self._console.print(Text(text), soft_wrap=True)

    def _remaining(self, position: int) -> str:
        if not self._total or not position:
            return ""
        left = self.elapsed_s * (self._total - position) / position
        return f", {position / self._total:.0%}, about {max(left, 0):.0f} s left"

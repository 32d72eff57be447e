import io

import pytest
from rich.console import Console

from app.cli.input.progress import RowProgress


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def progress_to(
    out: io.StringIO, clock: Clock, *, total: int | None, terminal: bool
) -> RowProgress:
    console = Console(file=out, force_terminal=terminal, width=100)
    return RowProgress("e[1].csv", total=total, console=console, clock=clock)


def test_progress_without_a_terminal_prints_a_line_every_ten_seconds(
    clock: Clock,
) -> None:
    out = io.StringIO()
    with progress_to(out, clock, total=1_000_000, terminal=False) as progress:
        for second in range(0, 25, 5):
            clock.now = second
            progress.update(rows=1_000 * second, position=20_000 * second)

    assert out.getvalue().splitlines() == [
        "10,000 rows, 1,000 rows/s, 20%, about 40 s left",
        "20,000 rows, 1,000 rows/s, 40%, about 30 s left",
    ]


def test_progress_of_a_pipe_has_no_percentage(clock: Clock) -> None:
    out = io.StringIO()
    with progress_to(out, clock, total=None, terminal=False) as progress:
        clock.now = 10
        progress.update(rows=5, position=100)

    assert out.getvalue() == "5 rows, 0 rows/s\n"


def test_terminal_shows_a_bar_below_the_messages(clock: Clock) -> None:
    out = io.StringIO()
    with progress_to(out, clock, total=1_000, terminal=True) as progress:
        clock.now = 2
        progress.say("line 7: [bold]not[/] read")
        progress.update(rows=30, position=500)

    text = out.getvalue()
    assert "line 7: [bold]not[/] read" in text
    assert "e[1].csv" in text
    assert "50%" in text
    assert "30 rows, 15 rows/s" in text

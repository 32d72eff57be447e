"""Where a process spends its CPU time, seen by looking at it now and then.

A timer of the process's own CPU time interrupts it, and what it was at is counted:
work in C counts for the Python function that called it, and the event loop's for the
next one that it calls. Unlike a tracing profiler this slows nothing down, so that
shares are true; waiting costs no CPU and does not count.
"""

import signal
import sys
from collections import Counter
from types import FrameType, TracebackType
from typing import Self

# The kernel looks at each tick, mostly 4 ms, however much less is asked for.
_INTERVAL_S = 0.001
# Of the standard library, what is worth a line; else the caller's.
_APART = frozenset({"asyncio", "logging"})
_OURS = "app"


class Sampler:
    """Counts what the main thread is at, while entered.

    Attributes:
        counts: samples by place and function; a place is a module of ours, or a
            package.
    """

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def __enter__(self) -> Self:
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, _INTERVAL_S, _INTERVAL_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, signal.SIG_IGN)

    def _look(self, number: int, frame: FrameType | None) -> None:
        del number
        while frame is not None:
            module = frame.f_globals.get("__name__", "")
            place = _place_of(module)
            if place is not None:
                self.counts[place, frame.f_code.co_name] += 1
                return
            frame = frame.f_back
        self.counts["other", ""] += 1


def _place_of(module: str) -> str | None:
    """The name that a module counts under; None for what counts for its caller."""
    package = module.partition(".")[0]
    if package == _OURS:
        return module
    # The methods of a named tuple are in a module of their own.
    if package.startswith("namedtuple_"):
        return None
    if package in sys.stdlib_module_names and package not in _APART:
        return None
    return package

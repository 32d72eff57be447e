"""How much processor time a process takes, and how long it waits for a processor."""

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_NANOSECONDS = 1e9


class Usage(NamedTuple):
    """Usage by all threads of a process.

    Attributes:
        cpu_s: seconds on a processor.
        waiting_s: seconds in which a thread was ready to run, and other processes had
            the processors.
    """

    cpu_s: float
    waiting_s: float

    def __sub__(self, earlier: "Usage") -> "Usage":
        return Usage(self.cpu_s - earlier.cpu_s, self.waiting_s - earlier.waiting_s)


def usage(pid: int | None = None) -> Usage:
    """Return the usage of a process since its start; of this one by default."""
    cpu = waiting = 0
    for path in Path(f"/proc/{pid or os.getpid()}/task").glob("*/schedstat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended
            on_processor, in_queue, _ = map(int, path.read_text().split())
            cpu += on_processor
            waiting += in_queue
    return Usage(cpu / _NANOSECONDS, waiting / _NANOSECONDS)

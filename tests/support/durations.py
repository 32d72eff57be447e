"""Bounds on durations, which hold on a busy machine too.

A busy machine delays some of several attempts, a defect delays them all. So a test
compares the least duration.
"""

import time
from collections.abc import Awaitable, Callable

_ATTEMPTS = 8


def least_cpu_s(work: Callable[[], object], *, enough_s: float) -> float:
    """Processor time of the fastest of several runs.

    Args:
        work: run once, and again while it took `enough_s` or longer.
        enough_s: the bound of the test.
    """
    least = float("inf")
    for _ in range(_ATTEMPTS):
        began = time.process_time()
        work()
        least = min(least, time.process_time() - began)
        if least < enough_s:
            break
    return least


async def least_s(work: Callable[[], Awaitable[object]], *, enough_s: float) -> float:
    """Duration of the fastest of several runs.

    Args:
        work: as for `least_cpu_s`, awaited.
        enough_s: the bound of the test.
    """
    least = float("inf")
    for _ in range(_ATTEMPTS):
        began = time.monotonic()
        await work()
        least = min(least, time.monotonic() - began)
        if least < enough_s:
            break
    return least

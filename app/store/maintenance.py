"""What is done to the database once an hour, whoever sends."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from app.errors import UnavailableError
from app.metrics.catalog import MAINTENANCE_FAILURES, MAINTENANCE_SUCCEEDED_AT
from app.metrics.counters import Metrics

log = logging.getLogger(__name__)

_PAUSE_S = 3600.0


async def run_hourly(
    task: str, work: Callable[[], Awaitable[int]], *, metrics: Metrics
) -> None:
    """Work once an hour, now first; what fails is tried again the next hour.

    Args:
        task: what metrics call it.
        work: raises UnavailableError where the database does not do it.
        metrics: count failures, and say when it last succeeded.
    """
    while True:
        try:
            await work()
            metrics.set(MAINTENANCE_SUCCEEDED_AT, task, to=time.time())
        except UnavailableError as error:
            log.warning("%s", error.detail)
            metrics.add(MAINTENANCE_FAILURES, task)
        await asyncio.sleep(_PAUSE_S)

"""Maintenance of the database."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from app.metrics.catalog import MAINTENANCE_FAILURES, MAINTENANCE_SUCCEEDED_AT
from app.metrics.counters import Metrics
from app.request_errors import UnavailableError
from app.store.engine import one_connection
from app.store.leases import Task
from app.store.service_queries import ServiceQueries

log = logging.getLogger(__name__)

# Time for one statement of maintenance.
STATEMENT_S = 60.0

HOUR_S = 3600.0
MINUTE_S = 60.0


async def run_every(seconds: float, task: str, work: Task, *, metrics: Metrics) -> None:
    """Run a task now and again and again, also if it fails.

    After a failure the pause is a tenth. Failures are logged at most once an hour,
    since an outage lasts longer than a pause.

    Args:
        seconds: pause between two runs.
        task: its name in metrics.
        work: raises UnavailableError if the database fails.
        metrics: count failures, and hold the time of the last success.
    """
    silent_until = 0.0
    while True:
        try:
            await work()
            metrics.set(MAINTENANCE_SUCCEEDED_AT, task, to=time.time())
            pause_s = seconds
        except UnavailableError as error:
            pause_s = seconds / 10
            if time.monotonic() >= silent_until:
                log.warning("%s", error.detail)
                silent_until = time.monotonic() + HOUR_S - MINUTE_S
            metrics.add(MAINTENANCE_FAILURES, task)
        await asyncio.sleep(pause_s)


async def on_own_connection(
    url: str, work: Callable[[ServiceQueries], Awaitable[int]]
) -> int:
    """Run maintenance on a connection of its own, with time for large tables.

    The service's other connections cut a statement after the time of one commit.
    """
    async with one_connection(url, command_timeout_s=STATEMENT_S) as engine:
        return await work(ServiceQueries(engine, timeout_s=STATEMENT_S))

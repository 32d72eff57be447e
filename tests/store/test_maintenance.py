import asyncio

import pytest

from app.metrics.catalog import MAINTENANCE_FAILURES
from app.metrics.counters import Metrics
from app.request_errors import UnavailableError
from app.store.maintenance import run_every
from tests.support.metrics.samples import figures_of


async def test_repeated_failure_is_counted_each_time_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics = Metrics()
    done = asyncio.Event()
    runs = 0

    async def work() -> int:
        nonlocal runs
        runs += 1
        if runs > 3:
            done.set()
            await asyncio.Event().wait()
        raise UnavailableError("The instance could not be recorded.")

    task = asyncio.create_task(run_every(0, "instances", work, metrics=metrics))
    async with asyncio.timeout(10):
        await done.wait()
    task.cancel()
    assert figures_of(metrics)(MAINTENANCE_FAILURES.name, task="instances") == 3
    assert [record.message for record in caplog.records] == [
        "The instance could not be recorded."
    ]

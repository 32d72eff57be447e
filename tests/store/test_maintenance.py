import asyncio

import pytest

from app.metrics.catalog import MAINTENANCE_FAILURES
from app.metrics.counters import Metrics
from app.request_errors import UnavailableError
from app.store import maintenance
from app.store.maintenance import run_every
from tests.support.limits import PATIENCE_S
from tests.support.metrics.samples import figures_of

FAILURE = "The instance could not be recorded."


async def fail_three_times(metrics: Metrics) -> None:
    done = asyncio.Event()
    runs = 0

    async def work() -> int:
        nonlocal runs
        runs += 1
        if runs > 3:
            done.set()
            await asyncio.Event().wait()
        raise UnavailableError(FAILURE)

    task = asyncio.create_task(run_every(0, "instances", work, metrics=metrics))
    async with asyncio.timeout(PATIENCE_S):
        await done.wait()
    task.cancel()


async def test_repeated_failure_is_counted_each_time_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics = Metrics()
    await fail_three_times(metrics)
    assert figures_of(metrics)(MAINTENANCE_FAILURES.name, task="instances") == 3
    assert caplog.messages == [FAILURE]


async def test_failure_is_logged_again_after_an_hour(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "HOUR_S", maintenance.MINUTE_S)  # it is over
    await fail_three_times(Metrics())
    assert caplog.messages == [FAILURE] * 3


async def test_failed_task_runs_again_after_a_tenth_of_its_pause() -> None:
    again = asyncio.Event()
    runs = 0

    async def work() -> int:
        nonlocal runs
        runs += 1
        if runs == 2:
            again.set()
        raise UnavailableError(FAILURE)

    task = asyncio.create_task(run_every(20, "instances", work, metrics=Metrics()))
    async with asyncio.timeout(19):
        await again.wait()
    task.cancel()

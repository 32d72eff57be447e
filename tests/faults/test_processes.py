"""F1 and F2: workers are killed, and the service is restarted, under load."""

import asyncio
import os
import signal

import pytest

from tests.faults import actions
from tests.faults.conftest import NewRow
from tests.faults.stage import Stage
from tests.system.spread import both_workers

KILLS = 100


@pytest.mark.parametrize("victims", [1, 2], ids=["one", "all"])
async def test_f1_killed_workers(stage: Stage, new_row: NewRow, victims: int) -> None:
    row = new_row("F1", f"kill -9 of {victims} of 2 workers")
    service = stage.start(workers=2)
    both_workers(service)
    async with stage.trial(row) as trial:
        await actions.kill_workers(stage, count=victims)
        row.seconds("back", await trial.recovered(), at_most=3)
        await trial.load.until_confirmed(100)
    assert service.process.poll() is None
    row.at_most("other than 2xx and 503/429", trial.disorder, 0)
    row.settle()


@pytest.mark.at_length
@pytest.mark.timeout(600)
async def test_f1_a_hundred_kills(stage: Stage, new_row: NewRow) -> None:
    row = new_row("F1", f"{KILLS} kill -9 of workers")
    service = stage.start(workers=2)
    both_workers(service)
    killed: set[int] = set()
    async with stage.trial(row) as trial:
        while len(killed) < KILLS:
            [victim] = (await fresh_workers(stage, killed))[:1]
            os.kill(victim, signal.SIGKILL)
            killed.add(victim)
            await trial.load.until_confirmed(20, within_s=60)
        row.seconds("back", await trial.recovered(), at_most=3)
    assert service.process.poll() is None
    row.settle()


async def fresh_workers(stage: Stage, killed: set[int]) -> list[int]:
    """Those that live; there is one soon, however often it has happened."""
    async with asyncio.timeout(60):
        while not (pids := [pid for pid in stage.pids() if pid not in killed]):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return pids

"""F1 and F2: workers are killed and replaced, and the service, under load."""

import asyncio
import os
import signal
import socket
from functools import partial

import pytest

from tests.faults.conftest import NewRow
from tests.support.eventually import eventually
from tests.support.faults import actions
from tests.support.faults.ledger import BYSTANDER
from tests.support.faults.stage import Stage, new_key
from tests.support.service.clients import calling
from tests.support.service.workers import both_workers

KILLS = 100
RESTARTS = 20


# What `make test` leaves to `make faults` has a shorter case in tests/system:
# test_connection_made_without_workers_is_served_later for all workers killed, and
# test_reload_fails_no_request and test_inherited_socket_survives_the_service for F2.
@pytest.mark.parametrize(
    "victims",
    [
        pytest.param(1, id="one"),
        pytest.param(2, id="all", marks=pytest.mark.at_length),
    ],
)
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
    slowest = 0.0
    async with stage.trial(row) as trial:
        while len(killed) < KILLS:
            victim = await oldest_worker(stage, killed)
            os.kill(victim, signal.SIGKILL)
            killed.add(victim)
            slowest = max(slowest, await trial.recovered())
            await trial.load.until_confirmed(20, within_s=60)
    assert service.process.poll() is None
    # Those that are still starting are killed, too.
    row.told("back after each", f"{slowest:.2f} s")
    row.at_most("other than 2xx and 503/429", trial.disorder, 0)
    row.settle()


async def oldest_worker(stage: Stage, killed: set[int]) -> int:
    """The pid of the worker that has lived longest; waits until there is one."""
    fresh: list[int] = []

    def is_there() -> bool:
        fresh[:] = [pid for pid in stage.service.workers() if pid not in killed]
        return bool(fresh)

    await eventually(is_there)
    return fresh[0]


@pytest.mark.at_length
@pytest.mark.timeout(600)
async def test_f2_rolling_restarts(stage: Stage, new_row: NewRow) -> None:
    row = new_row("F2", f"{RESTARTS} times SIGHUP")
    service = stage.start(workers=2)
    both_workers(service)
    key = await new_key(stage.url, BYSTANDER)
    async with stage.trial(row) as trial, calling(service.endpoint, key) as calls:
        for _ in range(RESTARTS):
            before = {*stage.pids()}
            service.signal(signal.SIGHUP)
            await eventually(partial(replaced, before, stage))
            await trial.load.until_confirmed(50)
    assert service.process.poll() is None
    row.at_most("failed or refused", trial.failed + len(calls.failures), 0)
    row.settle()


def replaced(before: set[int], stage: Stage) -> bool:
    now = {*stage.pids()}
    return len(now) == len(before) and not now & before


@pytest.mark.at_length
@pytest.mark.timeout(600)
async def test_f2_a_socket_handed_over(stage: Stage, new_row: NewRow) -> None:
    row = new_row("F2", f"{RESTARTS} times SIGTERM, the socket handed over")
    key = await new_key(stage.url, BYSTANDER)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        service = stage.start(listener=listener)
        async with stage.trial(row) as trial, calling(service.endpoint, key) as calls:
            for _ in range(RESTARTS):
                old = stage.service
                await asyncio.to_thread(stage.start, listener=listener)
                assert await asyncio.to_thread(old.stop) == 0
                await trial.load.until_confirmed(50)
    row.at_most("failed or refused", trial.failed + len(calls.failures), 0)
    row.settle()

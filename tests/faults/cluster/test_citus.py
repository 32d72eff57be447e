"""C1 to C5: a Citus cluster of a coordinator and two workers under one instance."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import NamedTuple

import pytest

from app.store.operator_session import in_operator_transaction
from app.store.shards.buckets import Buckets, read_buckets
from tests.faults.conftest import NewRow
from tests.support.eventually import eventually
from tests.support.faults import actions
from tests.support.faults.citus import CitusServer, move_shard, servers
from tests.support.faults.postgres import Postgres
from tests.support.faults.sender import under_load
from tests.support.faults.stage import Serve, Stage, new_key
from tests.support.postgres.pgbouncer import pgbouncer

pytestmark = [pytest.mark.at_length, pytest.mark.timeout(200)]

RATE = 20
SIZE = 3
ANSWER_S = 3.0
BACK_S = 5.0


class Citus(NamedTuple):
    """The cluster and a database on it."""

    coordinator: CitusServer
    workers: list[CitusServer]
    url: str


async def kill_coordinator(citus: Citus) -> None:
    await killed(citus.coordinator)


async def kill_worker(citus: Citus) -> None:
    await killed(citus.workers[0])


async def killed(server: CitusServer) -> None:
    server.kill()
    await actions.lasting(6)
    await asyncio.to_thread(server.start)


async def freeze_worker(citus: Citus) -> None:
    citus.workers[0].freeze()
    try:
        await actions.lasting(10)
    finally:
        citus.workers[0].thaw()


async def move(citus: Citus) -> None:
    await move_shard(citus.url, citus.workers)


FAULTS: dict[str, tuple[str, Callable[[Citus], Awaitable[None]]]] = {
    "C1": ("coordinator killed", kill_coordinator),
    "C2": ("worker killed", kill_worker),
    "C3": ("worker frozen", freeze_worker),
    "C4": ("shard moved", move),
    "C5": ("worker killed, through a pooler", kill_worker),
}
OF_HALF_THE_BUCKETS = {"C2", "C3", "C5"}


@pytest.fixture
async def citus(citus_database_url: str) -> Citus:
    coordinator, *workers = await servers()
    return Citus(coordinator, workers, citus_database_url)


@pytest.fixture
async def stage(
    name: str, citus: Citus, postgres: Postgres, serve: Serve
) -> AsyncIterator[Stage]:
    """A service that runs on the cluster."""
    key = await new_key(citus.url)
    if name != "C5":
        stage = Stage(postgres, citus.url, key, serve, journal=True)
        await asyncio.to_thread(stage.start)
        yield stage
        return
    async with pgbouncer(citus.url, servers=20) as pooler:
        stage = Stage(postgres, pooler.url, key, serve, journal=True)
        await asyncio.to_thread(stage.start, pooler="transaction")
        yield stage


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_of_the_cluster_loses_nothing(
    name: str, citus: Citus, stage: Stage, new_row: NewRow
) -> None:
    fault, happen = FAULTS[name]
    # Requests that arrive earlier wait for the start of the service.
    status, _ = await stage.get("/readyz")
    assert status == 200
    buckets = await in_operator_transaction(citus.url, read_buckets)
    endpoint = stage.service.endpoint
    row = new_row(name, f"{fault}, {RATE} requests/s of {SIZE} events")
    async with under_load(endpoint, stage.key, rate=RATE, size=SIZE) as load:
        await load.until_confirmed(100)
        users = load.ledger.users
        await happen(citus)
        # Every bucket stores again, not only those of the other worker.
        back_s = await load.until(stored_again(users["stored"], buckets), within_s=60)
        await load.until_confirmed(100, within_s=60)
    await eventually(partial(load.ledger.present, citus.url))
    row.verdict(await load.ledger.check(citus.url))
    slowest = max(answer.seconds for answer in load.answers)
    row.seconds("longest answer", slowest, at_most=ANSWER_S)
    row.seconds("all buckets stored again", back_s, at_most=BACK_S)
    refused = sum(answer.status != 200 for answer in load.answers)
    row.at_most("answers other than 200", refused + load.unanswered.total(), 0)
    touched = {buckets.of(user) for user in users["buffered"]}
    if name in OF_HALF_THE_BUCKETS:
        row.at_most("buckets that buffered", len(touched), len(buckets.numbers) / 2)
    statuses = Counter(answer.status for answer in load.answers)
    row.told("answers", f"{dict(statuses)}, {load.ledger.statuses}, {sorted(touched)}")
    row.settle()


def stored_again(stored: dict[str, None], buckets: Buckets) -> Callable[[], bool]:
    """Whether each bucket has stored an event since this call."""
    begun = len(stored)
    waited: set[int] = set()

    def is_so() -> bool:
        nonlocal begun
        users = [*stored][begun:]
        begun = len(stored)
        waited.update(buckets.of(user) for user in users)
        return len(waited) == len(buckets.numbers)

    return is_so

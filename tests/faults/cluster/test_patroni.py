"""P1 to P7: a Patroni cluster of three nodes under two instances of the service.

The host of the victim stands first in the URL, the worst place for a failover.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import asyncpg
import pytest
from asyncpg.exceptions import TargetServerAttributeNotMatched

from app.store.dsn import dsn_of
from app.store.migrations import migrate
from tests.faults.conftest import NewRow
from tests.support.faults import actions
from tests.support.faults.instances import RATE, under_shared_load
from tests.support.faults.patroni import NODES, PatroniCluster, missing, patroni_cluster
from tests.support.faults.postgres import Postgres
from tests.support.faults.stage import Serve, Stage, new_key

pytestmark = [pytest.mark.at_length, pytest.mark.timeout(400)]


class Fault(NamedTuple):
    """One fault of the cluster.

    Attributes:
        begin: the fault of the victim.
        end: the repair, some seconds later; None if there is none.
        seconds: how long it lasts at least.
    """

    row: str
    name: str
    begin: Callable[[PatroniCluster, int], None]
    end: Callable[[PatroniCluster, int], None] | None
    seconds: float
    is_standby: bool = False


def freeze_etcd(cluster: PatroniCluster, _: int) -> None:
    os.kill(cluster.etcd, signal.SIGSTOP)


def thaw_etcd(cluster: PatroniCluster, _: int) -> None:
    os.kill(cluster.etcd, signal.SIGCONT)


def freeze_etcd_in_failsafe_mode(cluster: PatroniCluster, node: int) -> None:
    cluster.keep_leader_without_etcd()
    freeze_etcd(cluster, node)


FAULTS = (
    Fault("P1", "leader killed", PatroniCluster.kill, PatroniCluster.start, 40),
    Fault("P2", "leader frozen", PatroniCluster.freeze, PatroniCluster.thaw, 50),
    Fault("P3", "leader cut off", PatroniCluster.cut, PatroniCluster.mend, 50),
    Fault("P4", "switchover", lambda c, _: c.switch_over(), None, 0),
    Fault(
        "P5",
        "standby killed",
        PatroniCluster.kill,
        PatroniCluster.start,
        10,
        True,  # noqa: FBT003 - a named tuple
    ),
    Fault("P6", "etcd frozen", freeze_etcd, thaw_etcd, 40),
    # The last one: the cluster stays in this mode.
    Fault("P7", "etcd frozen, failsafe", freeze_etcd_in_failsafe_mode, thaw_etcd, 40),
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[PatroniCluster]:
    lacking = missing()
    if lacking is not None:
        pytest.skip(f"a Patroni cluster needs {lacking}")
    with patroni_cluster() as cluster:
        yield cluster


@pytest.fixture
def make_stage(postgres: Postgres, serve: Serve) -> Callable[[str], Awaitable[Stage]]:
    """Make a stage on a database of the cluster."""

    async def make(url: str) -> Stage:
        return Stage(postgres, url, await new_key(url), serve, journal=True)

    return make


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_fault_of_the_cluster_loses_nothing(
    fault: Fault,
    cluster: PatroniCluster,
    make_stage: Callable[[str], Awaitable[Stage]],
    tmp_path: Path,
    new_row: NewRow,
) -> None:
    leader = await asyncio.to_thread(cluster.until_whole)
    standby = cluster.synchronous_standby()
    assert standby is not None
    victim = standby if fault.is_standby else leader
    others = [node for node in NODES if node != victim]
    database = f"row_{fault.row.lower()}"
    await execute(
        cluster.url(leader, database="postgres"), f"CREATE DATABASE {database}"
    )
    url = cluster.url(victim, *others, database=database)
    await migrate(url)
    await execute(url, "CREATE TABLE probe (at timestamptz)")
    stage = await make_stage(url)
    instances = [stage.start(data_dir=str(tmp_path / name)) for name in ("a", "b")]
    row = new_row(fault.row, f"{fault.name}, {RATE} requests/s, two instances")
    async with under_shared_load(instances, stage.key) as load:
        await load.until_confirmed(200)
        await asyncio.to_thread(fault.begin, cluster, victim)
        lasting = asyncio.create_task(end_later(fault, cluster, victim))
        if fault.row in {"P6", "P7"}:
            await lasting
        await until_writable([cluster.url(n, database=database) for n in NODES])
        back_s = await load.until_stored()
        await lasting
        await load.until_confirmed(200)
    await load.settle(row, url, back_s=back_s)
    if fault.row == "P7":
        row.at_most("buffered events", load.ledger.statuses["buffered"], 0)
    row.settle()


async def until_writable(urls: list[str]) -> None:
    """Wait until one of the hosts confirms a commit, its standby included."""
    attempts = [asyncio.create_task(until_committed(url)) for url in urls]
    await asyncio.wait(attempts, return_when=asyncio.FIRST_COMPLETED, timeout=90)
    committed = [attempt for attempt in attempts if attempt.done()]
    assert committed, "no host accepts writes"
    for attempt in attempts:
        attempt.cancel()
    await committed[0]


async def until_committed(url: str) -> None:
    while True:
        with suppress(OSError, asyncpg.PostgresError, TargetServerAttributeNotMatched):
            connection = await asyncpg.connect(
                dsn_of(url), timeout=1, server_settings={"synchronous_commit": "on"}
            )
            try:
                await connection.execute("INSERT INTO probe VALUES (now())", timeout=1)
            finally:
                connection.terminate()
            return
        await actions.lasting(0.1)


async def end_later(fault: Fault, cluster: PatroniCluster, victim: int) -> None:
    await actions.lasting(fault.seconds)
    if fault.end is not None:
        await asyncio.to_thread(fault.end, cluster, victim)


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn_of(url))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()

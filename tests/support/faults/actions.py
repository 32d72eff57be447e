"""The faults themselves, so that rows and the soak share them.

Each begins, lasts and ends within one call; load goes on meanwhile.
"""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
)

import asyncpg
from sqlalchemy.engine import make_url

from app.store.dsn import dsn_of
from tests.support.eventually import eventually
from tests.support.faults.stage import Stage

_END_ONE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'rollcall' LIMIT 1
"""
_END_ALL = _END_ONE.replace(" LIMIT 1", "")
_REFUSE_AT_COMMIT = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'refused at commit' USING ERRCODE = '40001'; END $$;
CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON event_ids
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();
"""


async def lasting(seconds: float) -> None:
    """A fault that lasts so long by its definition; nothing is synchronised by it."""
    await asyncio.sleep(seconds)


@asynccontextmanager
async def session_on(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Of the tests' own."""
    connection = await asyncpg.connect(dsn_of(url))
    try:
        yield connection
    finally:
        await connection.close()


def session(stage: Stage) -> AbstractAsyncContextManager[asyncpg.Connection]:
    """On a stage's database, past any proxy."""
    return session_on(stage.url)


async def kill_workers(stage: Stage, *, count: int = 1) -> None:
    """F1; after other kills it waits until so many are alive, and spares the parent."""
    workers = stage.service.workers
    await eventually(lambda: len(workers()) >= count)
    for pid in workers()[:count]:
        os.kill(pid, signal.SIGKILL)


async def crash_postgres(stage: Stage, *, seconds: float) -> None:
    """F3: until it answers again."""
    await asyncio.to_thread(stage.postgres.kill)
    await lasting(seconds)
    await asyncio.to_thread(stage.postgres.start)


async def end_backends(stage: Stage, *, seconds: float) -> None:
    """F4: ten a second."""
    async with session(stage) as connection:
        for _ in range(round(seconds * 10)):
            await connection.fetch(_END_ONE)
            await lasting(0.1)


async def freeze_postgres(stage: Stage, *, seconds: float) -> None:
    """F5."""
    frozen = stage.postgres.freeze()
    try:
        await lasting(seconds)
    finally:
        stage.postgres.thaw(frozen)


async def drop_packets(stage: Stage, *, seconds: float) -> None:
    """F6: nothing comes through, and then nothing of it ever does."""
    assert stage.proxy is not None
    stage.proxy.freeze()
    try:
        await lasting(seconds)
    finally:
        stage.proxy.cut()
        stage.proxy.thaw()


async def reset_connections(stage: Stage, *, seconds: float) -> None:
    """F6: ten times a second."""
    assert stage.proxy is not None
    for _ in range(round(seconds * 10)):
        stage.proxy.cut()
        await lasting(0.1)


async def fail_commits(stage: Stage, *, seconds: float) -> None:
    """F7: Postgres refuses rows only at the commit."""
    await stage.postgres.script(_REFUSE_AT_COMMIT, url=stage.url)
    try:
        await lasting(seconds)
    finally:
        await stage.postgres.script("DROP FUNCTION refuse CASCADE", url=stage.url)


async def cut_commits(stage: Stage, *, times: int, answered: bool) -> None:
    """F7: the connection breaks before a commit arrives, or after it was done.

    A batch of good events is one statement, which commits by itself.
    """
    proxy = stage.proxy
    assert proxy is not None
    hits = asyncio.Semaphore(0)

    def cut() -> None:
        proxy.cut()
        hits.release()

    for _ in range(times):
        (proxy.after if answered else proxy.before)(b"signed_up", cut)
        async with asyncio.timeout(20):
            await hits.acquire()


async def slow_disk(stage: Stage, *, seconds: float, delay_s: float) -> None:
    """F8: each answer of Postgres comes later, so a commit by three times that."""
    assert stage.proxy is not None
    stage.proxy.delay_s = delay_s
    try:
        await lasting(seconds)
    finally:
        stage.proxy.delay_s = 0.0


async def make_read_only(stage: Stage, *, seconds: float) -> None:
    """F10."""
    await set_read_only(stage, "on")
    try:
        await lasting(seconds)
    finally:
        await set_read_only(stage, "off")


async def set_read_only(stage: Stage, value: str) -> None:
    """F10: `on` also for the sessions that are open."""
    name = make_url(stage.url).database
    await stage.postgres.execute(
        f"ALTER DATABASE {name} SET default_transaction_read_only = {value}"
    )
    if value == "on":
        await stage.postgres.script(_END_ALL, url=stage.url)


async def lock_table(stage: Stage, *, seconds: float) -> None:
    """F11."""
    async with session(stage) as connection, connection.transaction():
        await connection.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        await lasting(seconds)


async def exhaust_connections(stage: Stage, *, seconds: float) -> None:
    """F12: others take all of them, and the service loses its own."""
    async with AsyncExitStack() as stack:
        # Before there are none left, also for us.
        ender = await stack.enter_async_context(session(stage))
        while await _take_one(stage, stack):
            pass
        await ender.fetch(_END_ALL)
        while await _take_one(stage, stack):
            pass
        await lasting(seconds)


async def _take_one(stage: Stage, stack: AsyncExitStack) -> bool:
    try:
        await stack.enter_async_context(session(stage))
    except asyncpg.TooManyConnectionsError:
        return False
    return True


async def any_fault(stage: Stage, chance: random.Random) -> str:
    """One of those that need only a service with its load; returns its name."""
    faults = {
        "F1": kill_workers(stage),
        "F3": crash_postgres(stage, seconds=2),
        "F4": end_backends(stage, seconds=3),
        "F5": freeze_postgres(stage, seconds=4),
        "F6a": drop_packets(stage, seconds=4),
        "F6b": reset_connections(stage, seconds=2),
        "F7a": fail_commits(stage, seconds=3),
        "F7b": cut_commits(stage, times=3, answered=True),
        "F7c": cut_commits(stage, times=3, answered=False),
        "F8": slow_disk(stage, seconds=4, delay_s=0.16),
        "F10": make_read_only(stage, seconds=3),
        "F11": lock_table(stage, seconds=4),
        "F12": exhaust_connections(stage, seconds=3),
    }
    name = chance.choice([*faults])
    for other, fault in faults.items():
        if other != name:
            fault.close()
    await faults[name]
    return name

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.store.db_errors import DATABASE_ERRORS
from app.store.engine import create_engine
from app.store.tables import sources
from app.store.transaction import transaction
from tests.support.limits import PATIENCE_S
from tests.support.postgres.proxy import Proxy
from tests.support.store.entries import rows

PID = text("SELECT pg_backend_pid()")


@pytest.fixture
async def service(proxy: Proxy) -> AsyncIterator[AsyncEngine]:
    """An engine behind the proxy, with one connection that is up and idle."""
    engine = create_engine(proxy.url, pool_size=1)
    async with engine.connect() as connection:
        await connection.execute(PID)
    yield engine
    await engine.dispose()


async def pid_of(engine: AsyncEngine) -> object:
    async with engine.connect() as connection:
        return await connection.scalar(PID)


def in_s(seconds: float) -> float:
    """A deadline."""
    return asyncio.get_running_loop().time() + seconds


async def add_source(
    engine: AsyncEngine, deadline: float, *, then: Callable[[], Awaitable[object]]
) -> None:
    """Write a row, and do something else before the commit."""
    async with transaction(engine, deadline=deadline) as connection:
        await connection.execute(text("INSERT INTO sources VALUES ('billing')"))
        await then()


async def nothing() -> None:
    pass


async def test_transaction_is_committed_and_its_connection_kept(
    service: AsyncEngine, engine: AsyncEngine
) -> None:
    pid = await pid_of(service)
    await add_source(service, in_s(PATIENCE_S), then=nothing)
    assert [row.name for row in await rows(engine, sources)] == ["billing"]
    assert await pid_of(service) == pid


@pytest.mark.parametrize("defect", [ZeroDivisionError, AttributeError])
async def test_defect_rolls_back_unchanged_and_keeps_the_connection(
    service: AsyncEngine, engine: AsyncEngine, defect: type[Exception]
) -> None:
    async def fail() -> None:
        raise defect

    pid = await pid_of(service)
    with pytest.raises(defect):
        await add_source(service, in_s(PATIENCE_S), then=fail)
    assert await rows(engine, sources) == []
    assert await pid_of(service) == pid


async def test_pool_without_a_free_connection_is_a_timeout(
    service: AsyncEngine,
) -> None:
    async with service.connect():
        with pytest.raises(TimeoutError):
            await add_source(service, in_s(0.05), then=nothing)
    await add_source(service, in_s(PATIENCE_S), then=nothing)


async def test_no_commit_happens_after_the_deadline(
    service: AsyncEngine, engine: AsyncEngine
) -> None:
    deadline = in_s(0.2)
    reached = asyncio.Event()
    asyncio.get_running_loop().call_at(deadline, reached.set)

    with pytest.raises(DATABASE_ERRORS):
        await add_source(service, deadline, then=reached.wait)

    assert await rows(engine, sources) == []
    await add_source(service, in_s(PATIENCE_S), then=nothing)


async def test_deadline_that_passes_between_two_steps_of_the_driver_is_a_timeout(
    proxy: Proxy, service: AsyncEngine
) -> None:
    deadline = in_s(0.2)
    pid = await pid_of(service)

    def be_busy() -> None:
        """Hold the event loop, so that answer and deadline come in one turn of it."""
        while asyncio.get_running_loop().time() < deadline:
            pass

    proxy.after(b"uuid[]", be_busy)
    with pytest.raises(TimeoutError):
        async with transaction(service, deadline=deadline) as connection:
            # The driver has to look its type up, which takes it several steps.
            await connection.execute(text("SELECT CAST(NULL AS uuid[])"))
    assert await pid_of(service) != pid

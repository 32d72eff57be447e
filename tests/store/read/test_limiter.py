import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.request_errors import OverloadedError, UnavailableError
from app.store.engine import create_engine
from app.store.read.limiter import QueryLimiter
from tests.support.limits import PATIENCE_S
from tests.support.postgres.patient import patient_engine
from tests.support.postgres.proxy import Proxy


async def one(connection: AsyncConnection) -> object:
    return await connection.scalar(text("SELECT 1"))


class Held:
    """Questions that last until they are let go."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.entered = asyncio.Semaphore(0)
        self.let_go = asyncio.Event()

    async def question(self, connection: AsyncConnection) -> object:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.entered.release()
        try:
            await self.let_go.wait()
            return await one(connection)
        finally:
            self.inside -= 1


async def until_inside(held: Held, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        for _ in range(count):
            await held.entered.acquire()


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def turns(engine: AsyncEngine) -> QueryLimiter:
    return QueryLimiter(engine, timeout_s=PATIENCE_S, at_once=2, waiting=3)


async def test_limiter_runs_a_few_queries_and_queues_the_others(
    turns: QueryLimiter, held: Held
) -> None:
    asked = [asyncio.create_task(turns.ask(held.question)) for _ in range(5)]
    await until_inside(held, 2)
    with pytest.raises(OverloadedError):
        await turns.ask(one)

    held.let_go.set()

    assert await asyncio.gather(*asked) == [1] * 5
    assert held.most == 2
    assert await turns.ask(one) == 1


async def test_cancelled_reader_frees_its_slot(turns: QueryLimiter, held: Held) -> None:
    asked = [asyncio.create_task(turns.ask(held.question)) for _ in range(5)]
    await until_inside(held, 2)
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)

    assert await asyncio.gather(*(turns.ask(one) for _ in range(5))) == [1] * 5


async def test_reader_without_a_slot_gives_up_in_time(
    engine: AsyncEngine, held: Held
) -> None:
    turns = QueryLimiter(engine, timeout_s=0.2, at_once=1)
    async with engine.begin() as connection:
        task = asyncio.create_task(turns.ask(held.question))
        await until_inside(held, 1)
        async with asyncio.timeout(PATIENCE_S / 3):
            with pytest.raises(OverloadedError):
                await turns.ask(one)
        assert await one(connection) == 1
    held.let_go.set()
    await asyncio.gather(task, return_exceptions=True)


async def test_frozen_postgres_delays_readers_only_briefly(proxy: Proxy) -> None:
    engine = patient_engine(proxy.url, pool_size=2)
    turns = QueryLimiter(engine, timeout_s=0.3)
    assert await turns.ask(one) == 1
    proxy.freeze()
    for _ in range(2):
        async with asyncio.timeout(PATIENCE_S / 3):
            with pytest.raises(UnavailableError):
                await turns.ask(one)
    proxy.thaw()
    assert await turns.ask(one) == 1
    await engine.dispose()


async def test_slow_query_is_cancelled(database_url: str) -> None:
    engine = create_engine(database_url)
    turns = QueryLimiter(engine, timeout_s=0.3)

    async def slow(connection: AsyncConnection) -> object:
        return await connection.scalar(text("SELECT pg_sleep(60)"))

    async with asyncio.timeout(PATIENCE_S / 3):
        with pytest.raises(UnavailableError, match="ask for less"):
            await turns.ask(slow)
    asleep = text(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"
    )
    async with asyncio.timeout(PATIENCE_S), engine.connect() as connection:
        while await connection.scalar(asleep):
            await connection.rollback()
    await engine.dispose()

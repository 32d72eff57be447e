"""Queries with a time limit, while other tasks hold the connections."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.request_errors import UnavailableError
from app.store.engine import create_engine
from app.store.query import ask
from tests.support.limits import PATIENCE_S

FAILURE = "The question could not be asked."


async def one(connection: AsyncConnection) -> int:
    return int((await connection.execute(text("SELECT 1"))).scalar_one())


async def test_query_waits_for_a_connection_longer_than_the_pool_does(
    database_url: str,
) -> None:
    engine = create_engine(database_url, pool_size=1, pool_timeout_s=0.01)
    async with engine.connect():
        query = asyncio.create_task(
            ask(engine, one, timeout_s=PATIENCE_S, failure=FAILURE)
        )
        done, _ = await asyncio.wait([query], timeout=0.1)
        assert not done
    assert await query == 1
    await engine.dispose()


async def test_query_fails_when_its_time_is_over_without_a_connection(
    database_url: str,
) -> None:
    engine = create_engine(database_url, pool_size=1, pool_timeout_s=0.01)
    async with engine.connect():
        with pytest.raises(UnavailableError, match=FAILURE):
            await ask(engine, one, timeout_s=0.1, failure=FAILURE)
    await engine.dispose()

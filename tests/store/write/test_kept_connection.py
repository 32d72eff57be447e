"""The connection that a committer keeps, after statements that were cut off."""

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.store.write.kept_connection import KeptConnection


async def test_transaction_whose_begin_was_answered_late_is_not_taken_for_the_callers(
    engine: AsyncEngine,
) -> None:
    loop = asyncio.get_running_loop()
    kept = KeptConnection(engine)
    async with kept.until(loop.time() + 30) as driver:
        # As if the reply to BEGIN came after its time limit.
        await driver.execute("BEGIN")
    async with kept.until(loop.time() + 30) as driver:
        await driver.execute("INSERT INTO sources (name) VALUES ('late')")
    async with engine.connect() as connection:
        stored = await connection.scalar(
            text("SELECT count(*) FROM sources WHERE name = 'late'")
        )
    await kept.release()
    assert stored == 1


async def test_connection_is_not_returned_within_a_transaction(
    engine: AsyncEngine,
) -> None:
    kept = KeptConnection(engine)
    async with kept.until(asyncio.get_running_loop().time() + 30) as driver:
        await driver.execute("BEGIN")
    await kept.release()

    assert driver.is_closed()

"""A transaction that ends in time, whatever becomes of Postgres."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.store.db_errors import is_read_only


@asynccontextmanager
async def transaction(
    engine: AsyncEngine, *, deadline: float
) -> AsyncIterator[AsyncConnection]:
    """A pooled connection in a transaction, cut at the deadline.

    Cancelling a statement asks Postgres to co-operate, and closing a connection
    says goodbye to it; a frozen one does neither. Cutting the socket needs nobody.

    Args:
        engine: where the connection comes from and goes back to.
        deadline: on the event loop's clock, in seconds.

    Raises:
        TimeoutError: no connection could be had in time, or it was cut.
        sqlalchemy.exc.DBAPIError: also for a connection that was cut.
    """
    async with asyncio.timeout_at(deadline):
        connection = await engine.connect()
    try:
        raw = await connection.get_raw_connection()
        driver: asyncpg.Connection = raw.driver_connection
        watchdog = asyncio.get_running_loop().call_at(deadline, driver.terminate)
        try:
            async with connection.begin():
                yield connection
        except DBAPIError as error:
            if is_read_only(error):
                # A session can stay so when the database no longer is.
                driver.terminate()
            raise
        except AttributeError as error:
            # So the driver fails when it is cut between two of its own steps.
            if driver.is_closed():
                raise TimeoutError("The connection was cut.") from error
            raise
        finally:
            watchdog.cancel()
            if driver.is_closed():  # which the pool need not have noticed
                await connection.invalidate()
    finally:
        await connection.close()

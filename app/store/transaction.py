"""A transaction that ends by its deadline, whether or not Postgres responds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.store.db_errors import DATABASE_ERRORS, is_read_only

_BEGIN = text("SELECT 1")


@asynccontextmanager
async def transaction(
    engine: AsyncEngine, *, deadline: float
) -> AsyncIterator[AsyncConnection]:
    """A pooled connection in a transaction; both end at the deadline.

    Args:
        engine: pool that the connection is taken from and returned to.
        deadline: on the event loop's clock, in seconds.

    Raises:
        TimeoutError: the pool had no free connection in time, or the connection was
            closed at the deadline.
        sqlalchemy.exc.DBAPIError: Postgres refused, or the connection was closed at
            the deadline.
    """
    connection = await check_out(engine, deadline=deadline)
    try:
        driver = await driver_of(connection)
        async with closed_at(deadline, driver), connection.begin():
            yield connection
    finally:
        await give_back(connection)


async def check_out(engine: AsyncEngine, *, deadline: float) -> AsyncConnection:
    """Take a connection from the pool.

    Raises:
        TimeoutError: none was free, or none could be made, in time.
    """
    async with asyncio.timeout_at(deadline):
        return await engine.connect()


async def give_back(connection: AsyncConnection) -> None:
    """Return a connection to the pool, which replaces it if it is closed."""
    # The pool does not notice by itself that the driver closed it.
    if not connection.invalidated and (await driver_of(connection)).is_closed():
        await connection.invalidate()
    await connection.close()


@asynccontextmanager
async def closed_at(deadline: float, driver: asyncpg.Connection) -> AsyncIterator[None]:
    """Close the driver's connection at the deadline, or when it is read-only.

    Cancelling a statement and closing a connection politely both need a server that
    responds. Closing the socket does not.

    Args:
        deadline: on the event loop's clock, in seconds.
        driver: connection that the body uses.

    Raises:
        TimeoutError: the connection was closed between two steps of the driver.
    """
    timer = asyncio.get_running_loop().call_at(deadline, driver.terminate)
    try:
        yield
    except DATABASE_ERRORS as error:
        if is_read_only(error):
            # A session stays read-only after a failover has made the server writable.
            driver.terminate()
        raise
    except AttributeError as error:
        # asyncpg's `Connection._abort` sets `_protocol` to None, and a method of the
        # connection that is under way then calls it.
        if error.obj is None and driver.is_closed():
            raise TimeoutError("The connection was closed at its deadline.") from error
        raise
    finally:
        timer.cancel()


async def driver_in_transaction(connection: AsyncConnection) -> asyncpg.Connection:
    """The driver's connection, inside the transaction that SQLAlchemy has begun.

    SQLAlchemy sends BEGIN with the first statement that goes through it. A statement
    on the driver's connection before that would commit by itself.
    """
    driver = await driver_of(connection)
    if not driver.is_in_transaction():
        await connection.execute(_BEGIN)
    return driver


async def driver_of(connection: AsyncConnection) -> asyncpg.Connection:
    """The driver's own connection beneath the pooled one."""
    raw = await connection.get_raw_connection()
    return raw.driver_connection

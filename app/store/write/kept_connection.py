"""The connection that a committer keeps from one transaction to the next."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.store.transaction import check_out, closed_at, driver_of, give_back


class KeptConnection:
    """One pooled connection, used by one task through the driver.

    To check out a connection and to begin and commit through SQLAlchemy takes longer
    than the statement that stores a batch.

    Args:
        engine: pool that the connection comes from.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._connection: AsyncConnection | None = None
        self._driver: asyncpg.Connection | None = None

    @asynccontextmanager
    async def until(self, deadline: float) -> AsyncIterator[asyncpg.Connection]:
        """The driver's connection, outside a transaction; it is closed at the deadline.

        A connection that fails is replaced next time. An error of the data leaves it
        as it is.

        Args:
            deadline: on the event loop's clock, in seconds.

        Raises:
            TimeoutError: no connection was free in time, or it was closed at the
                deadline.
        """
        driver = await self._open(deadline)
        try:
            async with closed_at(deadline, driver):
                yield driver
        finally:
            if driver.is_closed():
                await self.release()

    async def release(self) -> None:
        """Return the connection to the pool; the next use takes another one."""
        if self._driver is not None and _is_in_transaction(self._driver):
            self._driver.terminate()
        connection, self._connection, self._driver = self._connection, None, None
        if connection is not None:
            await give_back(connection)

    async def _open(self, deadline: float) -> asyncpg.Connection:
        driver = self._driver
        if driver and not (driver.is_closed() or _is_in_transaction(driver)):
            return driver
        await self.release()
        self._connection = await check_out(self._engine, deadline=deadline)
        self._driver = await driver_of(self._connection)
        return self._driver


def _is_in_transaction(driver: asyncpg.Connection) -> bool:
    """Whether a BEGIN, COMMIT or ROLLBACK was cut off, which left a transaction open.

    An event that is stored in it would be taken for committed.
    """
    return not driver.is_closed() and driver.is_in_transaction()

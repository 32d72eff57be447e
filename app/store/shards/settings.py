"""Session settings that have to reach the sessions on Citus's workers.

Citus opens sessions of its own on the workers, without the settings that we send at
login. `SET LOCAL` in a transaction reaches them, if Citus has been set to pass it on.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.shards.buckets import Buckets
from app.store.transaction import driver_in_transaction

# Durable commits and UTC hold whatever the role or the database on a worker says. The
# names stand in the text: the driver would look up the type of an array in the
# catalogue, once for each connection, which takes longer than a commit may.
_READ = """
SELECT string_agg(
    format('SET LOCAL %I = %L;', name, current_setting(name)), '' ORDER BY name
)
FROM (VALUES
    ('synchronous_commit'), ('timezone'), ('jit'), ('lock_timeout'),
    ('statement_timeout')
) AS passed_on (name)
"""
# One connection to a worker: all of a transaction is on one shard.
_OF_CITUS = (
    "SET LOCAL citus.propagate_set_commands = 'local';"
    "SET LOCAL citus.max_adaptive_executor_pool_size = 1;"
    "SET LOCAL citus.node_connection_timeout = '2s';"
)
_scripts: WeakKeyDictionary[asyncpg.Connection, str] = WeakKeyDictionary()


async def propagate_settings(connection: AsyncConnection, buckets: Buckets) -> None:
    """Give the settings of the session to the workers, where there are several buckets.

    Call it in a transaction that has not used a worker yet.
    """
    if not buckets.is_one:
        await propagate_on(await driver_in_transaction(connection))


async def propagate_on(driver: asyncpg.Connection) -> None:
    """As `propagate_settings`, on the driver's connection, for several buckets."""
    await driver.execute(await _script_of(driver))


@asynccontextmanager
async def shard_transaction(driver: asyncpg.Connection) -> AsyncIterator[None]:
    """A transaction whose settings reach the workers; they travel with its BEGIN.

    Args:
        driver: outside a transaction, or in one that the caller ends.
    """
    if driver.is_in_transaction():
        await propagate_on(driver)
        yield
        return
    await driver.execute(f"BEGIN;{await _script_of(driver)}")
    try:
        yield
    except BaseException:
        if not driver.is_closed():
            await driver.execute("ROLLBACK")
        raise
    await driver.execute("COMMIT")


async def _script_of(driver: asyncpg.Connection) -> str:
    script = _scripts.get(driver)
    if script is None:
        script = _OF_CITUS + await driver.fetchval(_READ)
        _scripts[driver] = script
    return script

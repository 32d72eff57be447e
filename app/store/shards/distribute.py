"""Distribute the empty tables of events over the nodes of Citus, once and for ever."""

from importlib.resources import files

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import SchemaError
from app.store.db_errors import DATABASE_ERRORS
from app.store.migrations import (
    check_schema,
    find_revision,
    known_revisions,
    migration_connection,
)
from app.store.operator.causes import sqlstate_of
from app.store.shards.buckets import read_buckets
from app.store.transaction import driver_in_transaction

_HAS_CITUS = text("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')")
_NODES = text("SELECT count(*) FROM pg_dist_node WHERE isactive AND shouldhaveshards")
_LOCK = text("LOCK TABLE buckets, event_ids, events IN ACCESS EXCLUSIVE MODE")
_HAS_EVENTS = text("SELECT EXISTS (SELECT FROM event_ids)")
_BODY = text("SELECT prosrc FROM pg_proc WHERE oid = to_regproc(:name)")
_FUNCTIONS = {
    "rollcall_expire_bucket": "functions/rollcall_expire_bucket_v1.sql",
    "rollcall_store_in_bucket": "functions/rollcall_store_in_bucket_v1.sql",
}
# Uniqueness can be enforced within a shard only, so the key includes the bucket. All
# statements are one transaction: an interruption leaves the tables as they were.
_SCRIPT = """
SET LOCAL citus.multi_shard_modify_mode = 'sequential';
SET LOCAL citus.shard_replication_factor = 1;
ALTER TABLE event_ids
    DROP CONSTRAINT event_ids_pkey,
    ADD CONSTRAINT event_ids_pkey PRIMARY KEY (bucket, id);
SELECT create_distributed_table(
    'event_ids', 'bucket', shard_count => {count}, colocate_with => 'none'
);
SELECT create_distributed_table('events', 'bucket', colocate_with => 'event_ids');

-- The hash of a bucket decides on its shard: one number for each shard.
DELETE FROM buckets;
INSERT INTO buckets
SELECT DISTINCT ON (shard) number FROM (
    SELECT number, get_shard_id_for_distribution_column('events', number) AS shard
    FROM generate_series(0, 1000 * {count}) AS number
) AS numbers
ORDER BY shard, number;
"""
# Each call goes to the node that holds the shards of its bucket, also within a
# transaction.
_DELEGATE = """
SELECT create_distributed_function(
    CAST('rollcall_store_in_bucket' AS regproc)::regprocedure, 'p_bucket',
    colocate_with => 'event_ids', force_delegation => true
)
"""


async def distribute(url: str, *, count: int) -> int:
    """Distribute `events` and `event_ids` by bucket over the nodes of a Citus cluster.

    All other tables stay on the coordinator.

    Args:
        url: of the coordinator; its user owns the tables.
        count: number of buckets and shards, for ever.

    Returns:
        Number of nodes that hold shards.

    Raises:
        ConfigurationError: the URL leads through a pooler.
        SchemaError: the database is not one that can be distributed now; nothing was
            changed.
    """
    async with migration_connection(url) as connection, connection.begin():
        nodes = await check_can_distribute(connection)
        await connection.execute(_LOCK)
        # Again, since a service may have stored an event before the lock.
        await check_can_distribute(connection)
        try:
            driver = await driver_in_transaction(connection)
            await driver.execute(_SCRIPT.format(count=count))
            await _make_functions(driver)
        except DATABASE_ERRORS as error:
            if sqlstate_of(error) != "0A000":
                raise
            raise SchemaError(f"Citus cannot distribute the tables: {error}") from error
        return nodes


async def update_functions(url: str) -> None:
    """Make the functions of a distributed database those of this code.

    A database of a newer release is left alone. Only where a function differs, all
    nodes are needed.

    Args:
        url: of the coordinator; its user owns the tables.
    """
    async with migration_connection(url) as connection, connection.begin():
        is_known = await find_revision(connection) in known_revisions()
        if not is_known or (await read_buckets(connection)).is_one:
            return
        for name, path in _FUNCTIONS.items():
            body: str | None = await connection.scalar(_BODY, {"name": name})
            if body is None or body not in _read_script(path):
                await _make_functions(await driver_in_transaction(connection))
                return


async def check_can_distribute(connection: AsyncConnection) -> int:
    """Check that the tables can be distributed; returns the number of nodes for them.

    Raises:
        SchemaError: they cannot; the detail says why.
    """
    await check_schema(connection)
    if not await connection.scalar(_HAS_CITUS):
        raise SchemaError(
            "This database has no extension citus. Run CREATE EXTENSION citus on the"
            " coordinator and on each worker, and citus_add_node for each worker."
        )
    nodes: int = await connection.scalar(_NODES) or 0
    if not nodes:
        raise SchemaError(
            "No node of this Citus cluster takes shards; add the workers with"
            " citus_add_node."
        )
    buckets = await read_buckets(connection)
    if not buckets.is_one:
        raise SchemaError(
            f"This database is distributed into {len(buckets.numbers)} buckets already;"
            " their number cannot be changed."
        )
    if await connection.scalar(_HAS_EVENTS):
        raise SchemaError(
            "Events are stored already, so their ids cannot be distributed any more."
            " Export them, distribute an empty database, and import them there."
        )
    return nodes


async def _make_functions(driver: asyncpg.Connection) -> None:
    for path in _FUNCTIONS.values():
        await driver.execute(_read_script(path))
    await driver.execute(_DELEGATE)


def _read_script(path: str) -> str:
    return files("migrations").joinpath(path).read_text(encoding="utf-8")

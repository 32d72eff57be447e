"""Session settings that have to reach the sessions on Citus's workers.

Citus opens sessions of its own on the workers, without the settings that we send at
login. `SET LOCAL` in a transaction reaches them, if Citus has been set to pass it on.
"""

from weakref import WeakKeyDictionary

import asyncpg

from app.store.shards.buckets import Buckets

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
# A modification of two shards: Citus then commits in two phases. In one phase, a commit
# that fails on one worker does not undo the commits of others. No row matches, which
# Postgres must not see when it plans: no id of an event is of zeros alone.
_COMMIT_IN_TWO_PHASES = """
INSERT INTO event_ids (bucket, id, stored_at, content_hash)
SELECT bucket, id, stored_at, content_hash FROM event_ids
WHERE bucket IN ({}, {}) AND id = '00000000-0000-0000-0000-000000000000'
"""
_scripts: WeakKeyDictionary[asyncpg.Connection, str] = WeakKeyDictionary()


async def prepare_shards(driver: asyncpg.Connection, buckets: Buckets) -> None:
    """Pass the session's settings on to the workers, and commit on all or on none.

    Args:
        driver: in a transaction of several statements that has not used a worker yet.
        buckets: of the database; where it has one, nothing is done.
    """
    if not buckets.is_one:
        await pass_settings_on(driver)
        await driver.execute(_COMMIT_IN_TWO_PHASES.format(*buckets.numbers[:2]))


async def pass_settings_on(driver: asyncpg.Connection) -> None:
    """Pass the session's settings on to the worker of a transaction's one statement.

    Citus commits on it in one phase, and reports it if that fails; no other worker
    takes part.
    """
    script = _scripts.get(driver)
    if script is None:
        script = _scripts[driver] = _OF_CITUS + await driver.fetchval(_READ)
    # Alone, because Citus passes on the whole message of a SET.
    await driver.execute(script)

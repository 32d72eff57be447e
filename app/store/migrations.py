"""Bringing the schema up to date, and refusing to work with an older one."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files

from sqlalchemy import Connection, exists, func, select, table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import ConfigurationError, SchemaError
from app.store.db_errors import DATABASE_ERRORS
from app.store.dsn import has_pooler
from app.store.engine import create_migration_engine
from app.store.operator.causes import sqlstate_of

_TAKE_LOCK = select(func.pg_try_advisory_lock(func.hashtext("rollcall_migrations")))
_LOCK_POLL_S = 0.1
_LOCK_WAIT_S = 600
_LOCK_NOT_AVAILABLE = "55P03"
_TABLES = text(
    "SELECT to_regclass('alembic_version') IS NOT NULL AS versioned,"
    " to_regclass('event_ids') IS NOT NULL AS ours"
)
# Weeks that ended a week ago or earlier: no transaction adds rows to them.
_CLOSED_WEEKS = text("""
SELECT relname AS partition, inhdetachpending AS detaching
FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = 'events'::regclass AND relname ~ '^events_p[0-9]{8}$'
    AND to_date(right(relname, 8), 'YYYYMMDD') + 14 <= (now() AT TIME ZONE 'UTC')::date
ORDER BY relname
""")
_HAS_ONE_BUCKET = text("SELECT count(*) = 1 FROM buckets")
_REVISION = text("SELECT version_num FROM alembic_version")
_LACKS_FUNCTIONS = text("""
SELECT to_regproc('rollcall_store_in_bucket') IS NULL
    OR to_regproc('rollcall_expire_bucket') IS NULL
WHERE (SELECT count(*) FROM buckets) > 1
""")


async def migrate(url: str, *, lock_timeout_s: float = 5.0) -> tuple[str | None, str]:
    """Bring the schema to the revision that this code needs; idempotent.

    Processes that call it at once work one after the other. All migrations run in
    one transaction, so an interruption leaves the schema as it was. A schema that is as
    new as this code or newer is left alone.

    Args:
        url: of the database; its user owns the tables from then on.
        lock_timeout_s: how long one statement may wait for a lock on a table.

    Returns:
        The revision before (None: there was no schema) and after.

    Raises:
        ConfigurationError: the URL cannot be used, or leads through a pooler.
        SchemaError: a table stayed locked, or the schema is not Rollcall's.
        OSError, DBAPIError: Postgres cannot be reached, or refuses.
    """
    async with migration_connection(url, lock_timeout_s=lock_timeout_s) as connection:
        before = await find_revision(connection)
        await connection.commit()
        newest, *older = known_revisions()
        if before is not None and before not in older:
            return before, before
        try:
            await connection.run_sync(_upgrade)
        except DATABASE_ERRORS as error:
            if sqlstate_of(error) != _LOCK_NOT_AVAILABLE:
                raise
            raise SchemaError(
                "The schema is as it was: another session kept a table locked for"
                f" {lock_timeout_s:g} s. Look for it in pg_stat_activity, then run"
                " `rollcall migrate` again."
            ) from error
        return before, newest


async def drop_empty_weeks(url: str) -> list[str]:
    """Drop the partitions of past weeks that hold no event, such as after retention.

    Readers and writers of `events` go on meanwhile. An interrupted call is finished by
    the next one.

    Args:
        url: of the database; its user must own the tables.

    Returns:
        Names of the dropped tables. A table that another session keeps locked is left
        for the next call.
    """
    dropped = []
    async with migration_connection(url) as connection:
        await connection.commit()
        each = await connection.execution_options(isolation_level="AUTOCOMMIT")
        # Citus cannot detach concurrently; readers and writers wait for a moment.
        is_one = await each.scalar(_HAS_ONE_BUCKET)
        concurrently = "CONCURRENTLY" if is_one else ""
        for row in (await each.execute(_CLOSED_WEEKS)).all():
            any_row = exists().select_from(table(row.partition))
            if not row.detaching and await each.scalar(select(any_row)):
                continue
            how = "FINALIZE" if row.detaching else concurrently
            try:
                await each.execute(
                    text(f"ALTER TABLE events DETACH PARTITION {row.partition} {how}")
                )
                await each.execute(text(f"DROP TABLE {row.partition}"))
            except DBAPIError as error:
                if sqlstate_of(error) != _LOCK_NOT_AVAILABLE:
                    raise
                continue
            dropped.append(row.partition)
    return dropped


async def check_schema(
    connection: AsyncConnection, *, known: Sequence[str] | None = None
) -> None:
    """Refuse a schema that is older than this code needs.

    A newer one passes: a migration leaves in place what the release before it uses.

    Args:
        connection: to the database; nothing is written.
        known: the revisions that this code knows, the newest, which it needs, first;
            by default those that come with it.

    Raises:
        SchemaError: naming the command that mends it.
    """
    known = known or known_revisions()
    revision = await find_revision(connection)
    if revision is None:
        raise SchemaError(
            "The database has no Rollcall schema yet; run `rollcall migrate`."
        )
    if revision in known[1:]:
        raise SchemaError(
            f"The database's schema is at {revision}, but this release needs"
            f" {known[0]}; run `rollcall migrate`."
        )
    if await connection.scalar(_LACKS_FUNCTIONS):
        raise SchemaError(
            "This database is distributed, but lacks the functions that store and"
            " delete events on its shards; run `rollcall migrate`."
        )


@asynccontextmanager
async def migration_connection(
    url: str, *, lock_timeout_s: float = 5.0
) -> AsyncIterator[AsyncConnection]:
    """A connection that holds the lock on changing the schema.

    The lock belongs to the session, so that it can cover several transactions, and
    ends with the connection. A pooler would keep the session, and the lock with it.

    Raises:
        ConfigurationError: the URL cannot be used, or leads through a pooler.
        SchemaError: another process has held the lock for ten minutes.
        OSError, DBAPIError: Postgres cannot be reached, or refuses.
    """
    if has_pooler(url):
        raise ConfigurationError(
            "Changing the schema needs a direct connection. Run this command without"
            " ROLLCALL_POOLER and with a ROLLCALL_DATABASE_URL of Postgres itself."
        )
    engine = create_migration_engine(url, lock_timeout_s=lock_timeout_s)
    async with engine.connect() as connection:
        await _wait_for_lock(connection)
        yield connection


async def _wait_for_lock(connection: AsyncConnection) -> None:
    """Poll for the lock: a waiting statement would block CREATE INDEX CONCURRENTLY."""
    try:
        async with asyncio.timeout(_LOCK_WAIT_S):
            while not await connection.scalar(_TAKE_LOCK):
                await connection.commit()
                await asyncio.sleep(_LOCK_POLL_S)
    except TimeoutError:
        raise SchemaError(
            "Another process has been migrating this database for ten minutes."
            " Look for it in pg_stat_activity, then run `rollcall migrate` again."
        ) from None
    await connection.commit()


async def find_revision(connection: AsyncConnection) -> str | None:
    """The revision of the schema; None if there is none.

    Raises:
        SchemaError: it is another program's.
    """
    tables = (await connection.execute(_TABLES)).one()
    revision: str | None = None
    if tables.versioned:
        revision = await connection.scalar(_REVISION)
    if revision is not None and not tables.ours:
        raise SchemaError(
            f"This database's alembic_version ({revision}) is another program's;"
            " give Rollcall a database of its own."
        )
    return revision


def _upgrade(connection: Connection) -> None:
    # Alembic logs one line for each plugin when it is imported.
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)
    # A seventh of the time that a worker takes to start, a third of a command's.
    from alembic import command  # noqa: PLC0415 - slow, and rarely needed
    from alembic.config import Config  # noqa: PLC0415 - slow, and rarely needed

    # `migrations` is found by name: its env.py imports this module.
    config = Config()
    location = str(files("migrations")).replace("%", "%%")
    config.set_main_option("script_location", location)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@cache
def known_revisions() -> tuple[str, ...]:
    """Revisions of this code, the newest first: the UTC times in the file names."""
    names = (file.name for file in (files("migrations") / "versions").iterdir())
    scripts = (name for name in names if name[0].isdigit() and name.endswith(".py"))
    return tuple(sorted((name.partition("_")[0] for name in scripts), reverse=True))

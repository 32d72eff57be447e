"""Bringing the schema up to date, and refusing to work with an older one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import SchemaError
from app.store.engine import create_migration_engine

_LOCK = "rollcall_migrations"
_LOCK_POLL_S = 0.1
_LOCK_WAIT_S = 600
_LOCK_NOT_AVAILABLE = "55P03"


async def migrate(url: str) -> tuple[str | None, str]:
    """Bring the schema to the revision that this code needs; idempotent.

    Any number of processes may call it at once. All of it is one transaction
    (of each migration that asks for no other), so that whatever kills it leaves
    the schema as it was. A newer schema than this code knows is left alone.

    Returns:
        The revision before (None: there was no schema) and after.

    Raises:
        ConfigurationError: the URL cannot be used.
        SchemaError: a lock was not to be had, or the schema is not Rollcall's.
        OSError, DBAPIError: Postgres cannot be reached, or refuses.
    """
    async with migration_connection(url) as connection:
        before, ours = await _find_revision(connection)
        await connection.commit()
        if before is not None and before not in _revisions():
            if not ours:
                raise _foreign(before)
            return before, before
        try:
            await connection.run_sync(_upgrade)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            raise SchemaError(
                "The schema was left as it was, because a table stayed locked for"
                " 5 s; end the query that holds it (see pg_stat_activity) and run"
                " `rollcall migrate` again."
            ) from error
        return before, _revisions()[0]


async def check_schema(connection: AsyncConnection) -> None:
    """Refuse a schema that is older than this code needs.

    A newer one passes: migrations only expand what the last release uses.

    Raises:
        SchemaError: naming the command that mends it.
    """
    revision, ours = await _find_revision(connection)
    if revision is None:
        raise SchemaError(
            "The database has no Rollcall schema yet; run `rollcall migrate`."
        )
    if revision not in _revisions():
        if not ours:
            raise _foreign(revision)
    elif revision != _revisions()[0]:
        raise SchemaError(
            f"The database's schema is at {revision}, but this release needs"
            f" {_revisions()[0]}; run `rollcall migrate`."
        )


@asynccontextmanager
async def migration_connection(url: str) -> AsyncIterator[AsyncConnection]:
    """The one connection that may change the schema at a time.

    Raises:
        ConfigurationError: the URL cannot be used.
        SchemaError: another process has been at it for ten minutes.
    """
    engine = create_migration_engine(url)
    try:
        # Closing the connection, or losing it, is what frees the lock.
        async with engine.connect() as connection:
            await _take_lock(connection)
            yield connection
    finally:
        await engine.dispose()


async def _take_lock(connection: AsyncConnection) -> None:
    """Poll: a waiting statement would hold up CREATE INDEX CONCURRENTLY for ever."""
    take = select(func.pg_try_advisory_lock(func.hashtext(_LOCK)))
    try:
        async with asyncio.timeout(_LOCK_WAIT_S):
            while not await connection.scalar(take):
                await connection.rollback()
                await asyncio.sleep(_LOCK_POLL_S)
    except TimeoutError:
        raise SchemaError(
            "Another process has been migrating this database for ten minutes;"
            " see pg_stat_activity, then run `rollcall migrate` again."
        ) from None
    await connection.commit()


async def _find_revision(connection: AsyncConnection) -> tuple[str | None, bool]:
    """The revision, and whether the tables beside it are Rollcall's."""
    row = (
        await connection.execute(
            text(
                "SELECT to_regclass('alembic_version') IS NOT NULL,"
                " to_regclass('event_ids') IS NOT NULL"
            )
        )
    ).one()
    if not row[0]:
        return None, row[1]
    return await connection.scalar(
        text("SELECT version_num FROM alembic_version")
    ), row[1]


def _foreign(revision: str) -> SchemaError:
    return SchemaError(
        f"The database's alembic_version, {revision}, is another program's;"
        " give Rollcall a database of its own."
    )


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@cache
def _revisions() -> tuple[str, ...]:
    """All that this code knows, the newest first."""
    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return tuple(script.revision for script in scripts)


def _config() -> Config:
    config = Config()
    location = str(files("migrations")).replace("%", "%%")
    config.set_main_option("script_location", location)
    return config

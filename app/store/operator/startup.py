"""Check of the database when the service starts: wrong settings, or an outage?"""

import asyncio
import socket

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import ConfigurationError, DatabaseError
from app.store.db_errors import DATABASE_ERRORS
from app.store.dsn import dsn_of
from app.store.engine import one_connection
from app.store.hosts import each_host
from app.store.migrations import check_schema
from app.store.operator.causes import cause_of, driver_error
from app.store.operator.psql import describe_target, hosts_of
from app.store.operator.rights import missing_rights
from app.store.operator_session import explain

_CONNECT_S = 5.0
_COMMAND_S = 10.0


async def refuse_unusable_database(url: str, *, can_buffer: bool) -> None:
    """Refuse a database that waiting cannot make usable.

    Args:
        url: URL of the database.
        can_buffer: whether this machine holds keys or events of an earlier run, so
            that a host name which cannot be resolved may be an outage of the DNS.

    Raises:
        ConfigurationError: every host refuses this URL, or no host can be resolved.
        SchemaError: the schema is older than this code needs.
        DatabaseError: an outage, so the service may start.
    """
    try:
        async with (
            one_connection(
                url, command_timeout_s=_COMMAND_S, connect_timeout_s=_CONNECT_S
            ) as engine,
            engine.connect() as connection,
        ):
            await _check(connection, url)
    except DATABASE_ERRORS as error:
        errors = await _errors_by_host(url, error)
        failed = [(host, each) for host, each in errors if each is not None]
        text = " ".join(explain(each, url, host=host) for host, each in failed)
        if all(_is_hopeless(each, can_buffer=can_buffer) for _, each in errors):
            raise ConfigurationError(text) from error
        raise DatabaseError(text or explain(error, url)) from error


async def _check(connection: AsyncConnection, url: str) -> None:
    await check_schema(connection)
    if missing := await missing_rights(connection):
        raise ConfigurationError(
            f"{describe_target(url)}: permission denied, the role lacks "
            f"{', '.join(missing)}. Run migrations/roles.sql as the owner, then GRANT "
            "rollcall_service to the role."
        )


def _is_hopeless(error: Exception | None, *, can_buffer: bool) -> bool:
    if error is None:
        return False
    if isinstance(driver_error(error), socket.gaierror):
        return not can_buffer
    return cause_of(error).is_configuration


async def _errors_by_host(
    url: str, error: Exception
) -> list[tuple[str | None, Exception | None]]:
    """Return the error of each host; the driver reports only one of them."""
    dsns = each_host(dsn_of(url))
    if len(dsns) == 1:
        return [(None, error)]
    return [(hosts_of(dsn)[0], await _login_error(dsn)) for dsn in dsns]


async def _login_error(dsn: str) -> Exception | None:
    try:
        async with asyncio.timeout(_CONNECT_S):
            connection = await asyncpg.connect(dsn, timeout=_CONNECT_S)
    except DATABASE_ERRORS as error:
        return error
    connection.terminate()
    return None

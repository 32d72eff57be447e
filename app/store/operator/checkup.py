"""Check of a database: the findings of `rollcall check` that need SQL."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import SchemaError
from app.store.instances import differences, running_instances
from app.store.migrations import check_schema
from app.store.operator.causes import sqlstate_of
from app.store.operator.rights import missing_rights
from app.store.write.partitions import weeks_ahead

_CLOCK_DIFFERENCE = timedelta(seconds=2)
_WEEKS_AHEAD = 2
_ROOM = 0.8
_OLDEST_VERSION = 150000

_SERVER = text("""
SELECT
    current_setting('server_version') AS version,
    current_setting('server_version_num')::integer AS number,
    current_setting('fsync') AS fsync,
    current_setting('full_page_writes') AS full_page_writes,
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('data_checksums') AS data_checksums,
    current_setting('max_connections')::integer AS max_connections,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')
        AS connections,
    pg_is_in_recovery() AS is_standby,
    coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)
        AS is_encrypted,
    inet_server_addr() IS NULL OR inet_server_addr() <<= '127.0.0.0/8' AS is_local,
    extract(epoch FROM clock_timestamp())::float8 AS clock,
    pg_size_pretty(pg_database_size(current_database())) AS size
""")
_MUST_BE_ON = {
    "fsync": "Set fsync = on: a power failure can destroy the database.",
    "full_page_writes": "Set full_page_writes = on.",
    "synchronous_commit": "A pooler resets it: connect to Postgres directly, or "
    "declare it.",
}
_BACKEND = text("SELECT pg_backend_pid(), current_setting('application_name')")
_QUARANTINE = text("""
SELECT source, count(*) AS events, sum(payload_bytes)::bigint AS bytes
FROM rejected_events GROUP BY source ORDER BY events DESC
""")


class Finding(NamedTuple):
    """Result of one check.

    Attributes:
        remedy: sentence that says how to repair it; None if it is in order.
    """

    name: str
    value: str
    remedy: str | None = None


async def check_database(
    engine: AsyncEngine, *, is_pooled: bool, max_events: int, max_bytes: int
) -> list[Finding]:
    """Run every check of a database.

    Args:
        engine: engine as the service makes it.
        is_pooled: whether the settings declare a pooler.
        max_events: cap of the rejected events of one source.
        max_bytes: cap of their bytes.
    """
    async with engine.connect() as connection:
        server = await check_server(connection)
        await connection.commit()
        pooler = await check_pooler(connection, is_expected=is_pooled)
        content = await check_content(
            connection, max_events=max_events, max_bytes=max_bytes
        )
        return [*server, pooler, *content]


async def check_server(connection: AsyncConnection) -> list[Finding]:
    """Check the server, and the settings as this connection really has them."""
    began = time.time()
    row = (await connection.execute(_SERVER)).one()
    asked_at = (began + time.time()) / 2
    return [*_findings(row, clock_ahead=timedelta(seconds=row.clock - asked_at))]


def _findings(row: Row[Any], *, clock_ahead: timedelta) -> Iterator[Finding]:
    remedy = "Upgrade to Postgres 15 or later."
    is_old = row.number < _OLDEST_VERSION
    yield Finding("server", row.version, remedy if is_old else None)
    for name, remedy in _MUST_BE_ON.items():
        value = getattr(row, name)
        yield Finding(name, value, None if value == "on" else remedy)
    yield Finding("data checksums", row.data_checksums)
    remedy = "Point the URL at the primary, or add target_session_attrs=read-write."
    role = "standby" if row.is_standby else "primary"
    yield Finding("role of the server", role, remedy if row.is_standby else None)
    remedy = "Add sslmode=verify-full and sslrootcert to the URL."
    encryption = "local connection" if row.is_local else "none"
    is_plain = not row.is_encrypted and not row.is_local
    value = "TLS" if row.is_encrypted else encryption
    yield Finding("encryption", value, remedy if is_plain else None)
    remedy = "Raise max_connections, or run fewer workers."
    is_full = row.connections > _ROOM * row.max_connections
    value = f"{row.connections} of {row.max_connections}"
    yield Finding("connections", value, remedy if is_full else None)
    remedy = "Synchronise the clocks of this machine and the database server."
    is_wrong = abs(clock_ahead) > _CLOCK_DIFFERENCE
    value = f"{clock_ahead.total_seconds():+.1f} s"
    yield Finding("clock of the server", value, remedy if is_wrong else None)
    yield Finding("database size", row.size)


async def check_pooler(connection: AsyncConnection, *, is_expected: bool) -> Finding:
    """Detect a pooler that gives each transaction another server connection.

    The connection has no transaction yet.
    """
    seen = set()
    for _ in range(4):
        seen.add(tuple((await connection.execute(_BACKEND)).one()))
        await connection.commit()
    is_pooled = len(seen) > 1 or next(iter(seen))[1] != "rollcall"
    if not is_pooled:
        return Finding("pooler", "none in transaction mode")
    if is_expected:
        return Finding("pooler", "in transaction mode, as declared")
    return Finding(
        "pooler",
        "in transaction mode",
        "Connect to Postgres directly, or declare the pooler: docs/operations.md.",
    )


async def check_content(
    connection: AsyncConnection, *, max_events: int, max_bytes: int
) -> list[Finding]:
    """Check schema, rights, partitions and quarantine; limits as `check_database`."""
    try:
        await check_schema(connection)
    except SchemaError as error:
        return [Finding("schema", "too old or missing", error.detail)]
    missing = await missing_rights(connection)
    if missing:
        remedy = "Run migrations/roles.sql as the owner, and grant rollcall_service."
        return [Finding("rights", f"no {', '.join(missing)}", remedy)]
    weeks = await weeks_ahead(connection)
    ahead = "Start the service, which creates them, and look in its log."
    return [
        Finding("schema", "current"),
        Finding("rights", "sufficient for the service"),
        Finding("weeks ahead", str(weeks), None if weeks >= _WEEKS_AHEAD else ahead),
        await _instances(connection),
        await _quarantine(connection, max_events=max_events, max_bytes=max_bytes),
    ]


async def _instances(connection: AsyncConnection) -> Finding:
    if await missing_rights(connection, ("SELECT on instances",)):
        return Finding("instances", "not readable with this role")
    running = await running_instances(connection)
    found = differences(running)
    remedy = f"Give all instances the same settings: {'; '.join(map(str, found))}."
    return Finding(
        "instances",
        f"{len(running)} running, {len(found) or 'no'} settings differ",
        remedy if found else None,
    )


async def _quarantine(
    connection: AsyncConnection, *, max_events: int, max_bytes: int
) -> Finding:
    try:
        rows = (await connection.execute(_QUARANTINE)).all()
    except DBAPIError as error:
        if sqlstate_of(error) != "42501":
            raise
        return Finding("quarantine", "not readable with this role")
    full = [
        row.source
        for row in rows
        if row.events >= _ROOM * max_events or row.bytes >= _ROOM * max_bytes
    ]
    value = f"{sum(row.events for row in rows)} events of {len(rows)} sources"
    if not full:
        return Finding("quarantine", value)
    remedy = (
        f"Nearly full for {', '.join(full)}: further rejected events are only counted. "
        "See `rollcall rejected list`, then replay or purge."
    )
    return Finding("quarantine", value, remedy)

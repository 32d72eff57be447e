"""Activity, verdicts, warnings and keys of one source."""

from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

_SOURCES = text("""
SELECT
    name,
    sources.created_at,
    count(*) FILTER (WHERE scope = 'write' AND revoked_at IS NULL) AS live_keys
FROM sources LEFT JOIN write_keys ON source = name
GROUP BY name
ORDER BY name
LIMIT 500
""")
_SOURCE = text("SELECT name, created_at FROM sources WHERE name = :source")
_ACTIVITY = text("""
SELECT
    count(*) FILTER (WHERE stored_at > now() - interval '1 minute') AS minute,
    count(*) FILTER (WHERE stored_at > now() - interval '1 hour') AS hour,
    count(*) AS day,
    max(stored_at) AS last
FROM events
WHERE source = :source AND stored_at > now() - interval '24 hours'
""")
_REJECTED = text("""
SELECT reason, count(*) AS events, max(received_at) AS last
FROM rejected_events
WHERE source = :source AND received_at > now() - interval '24 hours'
GROUP BY reason
ORDER BY events DESC, reason
LIMIT 50
""")
# Each warning with the latest event that has it.
_WARNINGS = text("""
SELECT
    warning ->> 'code' AS code,
    count(*) AS warnings,
    (array_agg(id ORDER BY stored_at DESC))[1] AS example,
    (array_agg(warning ->> 'path' ORDER BY stored_at DESC))[1] AS path,
    (array_agg(warning ->> 'message' ORDER BY stored_at DESC))[1] AS message
FROM (
    SELECT id, stored_at, warnings FROM events
    WHERE source = :source AND stored_at > now() - interval '24 hours'
    ORDER BY stored_at DESC
    LIMIT 20000
) AS latest, jsonb_array_elements(warnings) AS warning
GROUP BY code
ORDER BY warnings DESC, code
LIMIT 50
""")
_KEYS = text("""
SELECT id, scope, created_at, revoked_at, expires_at, last_used_on, note
FROM write_keys
WHERE source = :source
ORDER BY revoked_at IS NOT NULL, created_at DESC
LIMIT 100
""")

Rows = list[dict[str, Any]]


async def list_sources(connection: AsyncConnection) -> Rows:
    """All sources with the number of their live write keys."""
    return await _rows(connection, _SOURCES)


async def read_source(
    connection: AsyncConnection, *, name: str
) -> dict[str, Any] | None:
    """One source; None if the name is unknown.

    It has `name` and `created_at`, the counts `activity` of the last day, its rejected
    events by reason (`rejected`), `warnings` by code, each with an example, and `keys`,
    live ones first.
    """
    found = await _rows(connection, _SOURCE, source=name)
    if not found:
        return None
    [activity] = await _rows(connection, _ACTIVITY, source=name)
    return {
        **found[0],
        "activity": activity,
        "rejected": await _rows(connection, _REJECTED, source=name),
        "warnings": await _rows(connection, _WARNINGS, source=name),
        "keys": await _rows(connection, _KEYS, source=name),
    }


async def _rows(
    connection: AsyncConnection, statement: TextClause, **values: str
) -> Rows:
    result = await connection.execute(statement, values)
    return [dict(row) for row in result.mappings()]

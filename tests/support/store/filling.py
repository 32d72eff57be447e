"""Enough events that Postgres prefers indexes to sequential scans."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

EVENTS = 30_000
# A week's worth, in commits of a hundred; happened up to a minute before.
FILL = f"""
INSERT INTO events (
    id, source, event, user_id, group_id, "timestamp", timestamp_raw,
    received_at, stored_at, properties, context
)
SELECT
    gen_random_uuid(), 'billing', 'signed_up', md5((n % 5000)::text)::uuid::text,
    CASE WHEN n % 2 = 0 THEN md5((n % 500)::text)::uuid::text END,
    stored_at - n % 60 * interval '1 second', '2023-11-02T00:30:08.276Z',
    stored_at, stored_at,
    '{{"email": "john.doe@example.com", "name": "John Doe"}}', '{{}}'
FROM generate_series(0, {EVENTS} - 1) AS n, LATERAL (
    SELECT date_trunc('week', now()) + n / 100 * interval '30 minutes' AS stored_at
) AS clock
"""
CLAIM = """
INSERT INTO event_ids
SELECT id, stored_at, decode(md5(id::text), 'hex') FROM events
"""
SUMMARISE = r"""
SELECT brin_summarize_new_values(oid) FROM pg_class
WHERE relname ~ '^events_p\d{8}_timestamp_idx$'
"""


async def fill(connection: AsyncConnection) -> None:
    """Store them, in the caller's transaction, and let Postgres look at them."""
    await connection.execute(text("SET LOCAL statement_timeout = 0"))
    for statement in (FILL, CLAIM, SUMMARISE, "ANALYZE events, event_ids"):
        await connection.execute(text(statement))

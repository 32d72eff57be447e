"""Events of past weeks."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

NOW = datetime.now(UTC)
THIS_MONDAY = (NOW - timedelta(days=NOW.weekday())).replace(
    hour=0, minute=0, second=0, microsecond=0
)
EVENTS = 200
PARTITION = """
CREATE TABLE events_p{monday:%Y%m%d} PARTITION OF events
FOR VALUES FROM ('{monday:%Y-%m-%d}') TO ('{end:%Y-%m-%d}')
"""
FILL = text("""
WITH new AS (
    INSERT INTO events (
        id, source, event, user_id, "timestamp", timestamp_raw, received_at, stored_at,
        properties, context
    )
    SELECT
        gen_random_uuid(), 'billing', 'signed_up', n::text, :at, 'x', :at, :at,
        jsonb_build_object('pad', repeat('x', 500)), '{}'
    FROM generate_series(1, CAST(:events AS integer)) AS n
    RETURNING id, stored_at
)
INSERT INTO event_ids (id, stored_at, content_hash)
SELECT id, stored_at, 'x' FROM new
""")


async def fill_week(engine: AsyncEngine, weeks_ago: int, events: int = EVENTS) -> str:
    """Events stored in a past week; returns the name of its partition."""
    monday = THIS_MONDAY - timedelta(weeks=weeks_ago)
    end = monday + timedelta(weeks=1)
    async with engine.begin() as connection:
        await connection.execute(text(PARTITION.format(monday=monday, end=end)))
        at = monday + timedelta(days=1)
        await connection.execute(FILL, {"at": at, "events": events})
    return f"events_p{monday:%Y%m%d}"

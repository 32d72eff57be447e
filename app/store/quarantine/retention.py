"""Deleting what has been in quarantine for too long."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_BATCH = 1_000

# By Postgres's clock: the service's decides only when it was received.
_EXPIRE_EVENTS = text("""
WITH old AS MATERIALIZED (
    SELECT id FROM rejected_events
    WHERE received_at < now() - make_interval(days => CAST(:days AS integer))
    ORDER BY received_at
    LIMIT CAST(:limit AS integer)
    FOR UPDATE SKIP LOCKED
)
DELETE FROM rejected_events USING old WHERE rejected_events.id = old.id
""")
_EXPIRE_DROPS = text("""
WITH old AS MATERIALIZED (
    SELECT minute, source, worker FROM rejected_drops
    WHERE minute < now() - make_interval(days => CAST(:days AS integer))
    ORDER BY minute
    LIMIT CAST(:limit AS integer)
    FOR UPDATE SKIP LOCKED
)
DELETE FROM rejected_drops AS gone USING old
WHERE (gone.minute, gone.source, gone.worker) = (old.minute, old.source, old.worker)
""")


async def expire_rejected(
    connection: AsyncConnection, *, days: int, limit: int = _BATCH
) -> int:
    """Delete some rejected events, and counts of drops, that are too old.

    Rows that another session has locked are passed over: nobody waits for anybody.

    Args:
        connection: in a transaction.
        days: how old they may be.
        limit: how many are deleted of each.

    Returns:
        How many were deleted, events and counts together; 0 when it is done.
    """
    parameters = {"days": days, "limit": limit}
    events = await connection.execute(_EXPIRE_EVENTS, parameters)
    drops = await connection.execute(_EXPIRE_DROPS, parameters)
    return events.rowcount + drops.rowcount

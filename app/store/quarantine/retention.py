"""Retention of quarantine: deletes expired rejected events and drop counts."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.lifecycle.audit import SERVICE, record_action

_BATCH = 1_000

# Uses Postgres's clock, so that all instances agree.
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
    """Delete a batch of expired rejected events and drop counts; 0 when it is done.

    Rows locked by another session are skipped. The audit log gets a row in the same
    transaction.
    """
    parameters = {"days": days, "limit": limit}
    events = await connection.execute(_EXPIRE_EVENTS, parameters)
    drops = await connection.execute(_EXPIRE_DROPS, parameters)
    if events.rowcount:
        await record_action(
            connection, "rejected.expire", actor=SERVICE, events=events.rowcount
        )
    return events.rowcount + drops.rowcount

"""Retention of quarantine: deletes expired rejected events and drop counts."""

from datetime import timedelta

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.lifecycle.audit import SERVICE, record_action
from app.store.quarantine.queries import delete_rejected, next_batch
from app.store.read.filters import RejectedFilter
from app.store.tables import rejected_events

_BATCH = 1_000

_EXPIRE_DROPS = text("""
WITH old AS MATERIALIZED (
    SELECT minute, source, worker FROM rejected_drops
    WHERE minute < :before
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
    # Postgres's clock, so that all instances agree.
    before = await connection.scalar(select(func.now() - timedelta(days=days)))
    batch = next_batch(
        RejectedFilter(until=before), rejected_events.c.id, after=None, limit=limit
    )
    ids = (await connection.scalars(batch)).all()
    await delete_rejected(connection, ids)
    drops = await connection.execute(_EXPIRE_DROPS, {"before": before, "limit": limit})
    if ids:
        await record_action(
            connection, "rejected.expire", actor=SERVICE, events=len(ids)
        )
    return len(ids) + drops.rowcount

"""Undo an import: delete its events, their ids and its rejected events."""

from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import EventNotFoundError
from app.store.lifecycle.audit import record_action
from app.store.shards.buckets import read_buckets
from app.store.shards.settings import prepare_shards
from app.store.tables import event_ids, events, rejected_events
from app.store.transaction import driver_in_transaction

_REJECTED_BATCH = 1_000
# Statistics of a partitioned table are collected by this statement alone: autovacuum
# only does it for the partitions.
_ANALYZE = text("ANALYZE events, event_ids")


class ImportContent(NamedTuple):
    """Number of rows of an import.

    Attributes:
        events: stored events.
        rejected: rejected events.
    """

    events: int
    rejected: int


async def count_import(connection: AsyncConnection, import_id: UUID) -> ImportContent:
    """Count the rows of an import.

    Raises:
        EventNotFoundError: there are none.
    """
    stored = select(func.count()).where(events.c.import_id == import_id)
    rejected = select(func.count()).where(
        rejected_events.c.request_id == str(import_id)
    )
    found = ImportContent(
        await connection.scalar(stored) or 0, await connection.scalar(rejected) or 0
    )
    if not any(found):
        raise EventNotFoundError(
            f"No stored or rejected event belongs to the import {import_id}."
        )
    return found


async def undo_import(
    engine: AsyncEngine,
    import_id: UUID,
    *,
    actor: str,
    report: Callable[[ImportContent], None],
) -> None:
    """Delete all of an import, a batch of it in each transaction.

    Interrupted at any point, it can be repeated.

    Args:
        engine: begins and commits the transactions.
        import_id: as the import has printed it.
        actor: name in the audit log, which gets a row in each transaction.
        report: receives the counts of each commit.
    """
    for delete_batch in (_delete_events, _delete_rejected):
        while True:
            async with engine.begin() as connection:
                deleted = await delete_batch(connection, import_id)
                if not any(deleted):
                    break
                await record_action(
                    connection,
                    "import.undo",
                    actor=actor,
                    subject=str(import_id),
                    **deleted._asdict(),
                )
            report(deleted)


async def analyze(connection: AsyncConnection) -> None:
    """Update the planner's statistics, after many events were stored at once."""
    await connection.execute(_ANALYZE)


async def _delete_events(connection: AsyncConnection, import_id: UUID) -> ImportContent:
    """Delete what one transaction of the import has stored.

    All its rows have one `stored_at`, so a batch is within one partition.
    """
    buckets = await read_buckets(connection)
    await prepare_shards(await driver_in_transaction(connection), buckets)
    columns = events.c
    of_import = columns.import_id == import_id
    stored_at = await connection.scalar(
        select(columns.stored_at).where(of_import).limit(1)
    )
    if stored_at is None:
        return ImportContent(0, 0)
    gone = await connection.scalars(
        delete(events)
        .where(of_import, columns.stored_at == stored_at)
        .returning(columns.id)
    )
    ids = gone.all()
    await connection.execute(delete(event_ids).where(event_ids.c.id.in_(ids)))
    return ImportContent(len(ids), 0)


async def _delete_rejected(
    connection: AsyncConnection, import_id: UUID
) -> ImportContent:
    columns = rejected_events.c
    batch = (
        select(columns.id)
        .where(columns.request_id == str(import_id))
        .limit(_REJECTED_BATCH)
    )
    gone = await connection.execute(
        delete(rejected_events).where(columns.id.in_(batch))
    )
    return ImportContent(0, gone.rowcount)

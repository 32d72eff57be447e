"""Entries as the pipeline makes them, and their rows in the database."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.pipeline.outcome import Entry, Outcome
from app.pipeline.record import Record, RequestContext
from app.pipeline.rejection import Rejection
from app.store.quarantine.caps import Quarantine
from app.store.shards.buckets import ONE_BUCKET, Buckets, read_buckets
from app.store.shards.claim import store_records
from app.store.shards.committer import committer_of
from app.store.tables import event_ids, events, rejected_events
from app.store.transaction import driver_in_transaction
from app.store.write.committer import Committer
from tests.support.limits import PATIENCE_S
from tests.support.pipeline.verdicts import (
    RECEIPT,
    rejected,
    signed_up_with,
    stored,
    with_properties,
)


def record(
    message_id: str | None = None,
    *,
    user_id: str = "user-1",
    request_context: RequestContext = RECEIPT,
    **properties: Any,
) -> Record:
    """A `signed_up` of this user; equal arguments make equal events."""
    event = signed_up_with(user_id=user_id, message_id=message_id)
    return stored(with_properties(event, **properties), request_context=request_context)


def records(count: int) -> list[Record]:
    """Different events, each of a user of its own: user-0, user-1 and so on."""
    return [record(user_id=f"user-{number}") for number in range(count)]


def rejection(user_id: str = "user-1", **properties: Any) -> Rejection:
    """An event that is refused for its timestamp."""
    event = signed_up_with(user_id=user_id, timestamp="yesterday")
    return rejected(with_properties(event, **properties))


@asynccontextmanager
async def committing(
    engine: AsyncEngine,
    *,
    timeout_s: float = PATIENCE_S,
    quarantine: Quarantine | None = None,
    import_id: UUID | None = None,
    buckets: Buckets = ONE_BUCKET,
) -> AsyncIterator[Committer]:
    """A committer that returns its connection at the end."""
    committer = committer_of(
        engine,
        buckets,
        timeout_s=timeout_s,
        quarantine=quarantine,
        import_id=import_id,
    )
    try:
        yield committer
    finally:
        await committer.release()


async def commit(
    engine: AsyncEngine, *entries: Entry, timeout_s: float = PATIENCE_S
) -> list[Outcome | None]:
    """The outcomes of one batch, None where it was not confirmed."""
    async with committing(engine, timeout_s=timeout_s) as committer:
        return await committer.commit([*entries])


async def save(
    engine: AsyncEngine, *entries: Entry, import_id: UUID | None = None
) -> list[Outcome]:
    """Commit entries as the writer does."""
    async with engine.begin() as connection:
        buckets = await read_buckets(connection)
    async with committing(
        engine, timeout_s=30, import_id=import_id, buckets=buckets
    ) as committer:
        outcomes = await committer.commit([*entries])
    confirmed = [outcome for outcome in outcomes if outcome is not None]
    assert len(confirmed) == len(entries), "not confirmed"
    return confirmed


async def store(connection: AsyncConnection, *records: Record) -> list[Outcome]:
    """Store records in a transaction of the caller's, which it commits or not."""
    buckets = await read_buckets(connection)
    driver = await driver_in_transaction(connection)
    return await store_records(driver, buckets, records)


async def rows(engine: AsyncEngine, table: Table) -> Sequence[Any]:
    """All rows of a table."""
    async with engine.connect() as connection:
        return (await connection.execute(select(table))).all()


async def counts(engine: AsyncEngine) -> tuple[int, int, int]:
    """How many rows are in events, in event_ids and in rejected_events."""
    async with engine.connect() as connection:
        query = select(
            *(
                select(func.count()).select_from(table).scalar_subquery()
                for table in (events, event_ids, rejected_events)
            )
        )
        in_events, in_ids, in_quarantine = (await connection.execute(query)).one()
        return in_events, in_ids, in_quarantine

"""Entries as the pipeline makes them, and what the database holds of them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Table, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.pipeline.record import Record, RequestContext
from app.pipeline.rejection import Rejection
from app.store.quarantine.caps import Quarantine
from app.store.tables.events import event_ids, events, rejected_events
from app.store.write.insert import Entry, Outcome, store
from tests.support.pipeline import (
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


async def save(
    engine: AsyncEngine, *entries: Entry, import_id: UUID | None = None
) -> list[Outcome]:
    """Store entries in one transaction and commit it."""
    async with engine.begin() as connection:
        return await store(
            connection, entries, quarantine=Quarantine(), import_id=import_id
        )


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

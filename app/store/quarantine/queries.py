"""Queries and deletions of operators in the quarantine."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Row,
    Select,
    Uuid,
    any_,
    cast,
    delete,
    func,
    literal,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import EventNotFoundError
from app.store.lifecycle.audit import record_action
from app.store.quarantine.caps import ID_CONFLICT
from app.store.read.events import EventRow, KeysetPosition
from app.store.read.filters import RejectedFilter
from app.store.tables import rejected_drops, rejected_events

_PURGE_BATCH = 1_000
_COLUMNS = rejected_events.c
# Columns of rejected_events_received_at_id_idx.
_RECEIPT_ORDER = (_COLUMNS.received_at, _COLUMNS.id)
_LISTED = [column for column in _COLUMNS if column is not _COLUMNS.payload]


class SelectionCounts(NamedTuple):
    """Number of rejected events in a selection.

    Attributes:
        conflicts: events with the reason `id_conflict`.
        truncated: other events whose payload was cut.
        newest: receipt of the newest event; None if there is none.
    """

    events: int
    conflicts: int
    truncated: int
    newest: datetime | None

    @property
    def until(self) -> datetime | None:
        """An end for the selection that excludes events received since the count."""
        return self.newest and self.newest + self.newest.resolution

    @property
    def replayable(self) -> int:
        """Number of events that a replay validates again."""
        return self.events - self.conflicts - self.truncated


# How many `events` of a `source` were not kept, with the `first` and `last` minute.
Drops: TypeAlias = Row[Any]


class RejectedListing(NamedTuple):
    """Counts of a selection, its newest rows, and the events that were not kept."""

    counts: SelectionCounts
    rows: Sequence[EventRow]
    drops: Sequence[Drops]


async def list_rejected(
    connection: AsyncConnection, selection: RejectedFilter, *, limit: int
) -> RejectedListing:
    """Count a selection and read its newest rows, without their payload.

    Drops are filtered by the source and the start of the selection alone.
    """
    rows = await connection.execute(
        select(*_LISTED)
        .where(*selection.conditions())
        .order_by(*(column.desc() for column in _RECEIPT_ORDER))
        .limit(limit)
    )
    return RejectedListing(
        await count_selection(connection, selection),
        rows.all(),
        await _sum_drops(connection, selection),
    )


async def count_selection(
    connection: AsyncConnection, selection: RejectedFilter
) -> SelectionCounts:
    """Count a selection."""
    is_conflict = _COLUMNS.reason == ID_CONFLICT.code
    counts = await connection.execute(
        select(
            func.count(),
            func.count().filter(is_conflict),
            func.count().filter(_COLUMNS.truncated, ~is_conflict),
            func.max(_COLUMNS.received_at),
        ).where(*selection.conditions())
    )
    return SelectionCounts(*counts.one())


async def show_rejected(connection: AsyncConnection, id_: str) -> dict[str, Any]:
    """All columns of one rejected event.

    Raises:
        EventNotFoundError: no rejected event has this id.
    """
    row = None
    with suppress(ValueError):  # it is no UUID
        query = select(rejected_events).where(_COLUMNS.id == UUID(id_))
        row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise EventNotFoundError(
            "No rejected event has this id; `rollcall rejected list` shows the ids."
        )
    return row._asdict()


def next_batch(
    selection: RejectedFilter,
    *columns: ColumnElement[Any],
    after: KeysetPosition | None,
    limit: int,
) -> Select[Any]:
    """The query that locks the next rows in the order of receipt.

    It skips rows that another session has locked: that session handles them. Without an
    end, a selection includes events that arrive meanwhile.
    """
    query = select(*columns).where(*selection.conditions())
    if after is not None:
        query = query.where(tuple_(*_RECEIPT_ORDER) > tuple_(*after))
    return (
        query.order_by(*_RECEIPT_ORDER).limit(limit).with_for_update(skip_locked=True)
    )


async def delete_rejected(connection: AsyncConnection, ids: Iterable[UUID]) -> None:
    """Delete rejected events."""
    is_one_of_them = _COLUMNS.id == any_(literal(list(ids), ARRAY(Uuid)))
    await connection.execute(delete(rejected_events).where(is_one_of_them))


async def purge(
    engine: AsyncEngine,
    selection: RejectedFilter,
    *,
    actor: str,
    report: Callable[[int], None],
) -> None:
    """Delete a selection, a thousand rows in a transaction.

    Args:
        engine: used for one transaction after the other.
        selection: with an end, else it includes events that arrive meanwhile.
        actor: name in the audit log, which gets a row in each transaction.
        report: called after each commit with the number of rows that it deleted.
    """
    after = None
    while True:
        async with engine.begin() as connection:
            batch = await connection.execute(
                next_batch(selection, *_RECEIPT_ORDER, after=after, limit=_PURGE_BATCH)
            )
            places = [KeysetPosition(*row) for row in batch]
            if not places:
                return
            await delete_rejected(connection, (place.id for place in places))
            await record_action(
                connection, "rejected.purge", actor=actor, events=len(places)
            )
        report(len(places))
        after = places[-1]


async def _sum_drops(
    connection: AsyncConnection, selection: RejectedFilter
) -> Sequence[Drops]:
    drops = rejected_drops.c
    query = (
        select(
            drops.source,
            cast(func.sum(drops.events), BigInteger).label("events"),
            func.min(drops.minute).label("first"),
            func.max(drops.minute).label("last"),
        )
        .group_by(drops.source)
        .order_by(drops.source)
    )
    if selection.source is not None:
        query = query.where(drops.source == selection.source)
    if selection.since is not None:
        start = selection.since.replace(second=0, microsecond=0)
        query = query.where(drops.minute >= start)
    return (await connection.execute(query)).all()

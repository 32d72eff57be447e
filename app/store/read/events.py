"""Reading stored and rejected events page by page, the newest first.

jsonb columns are read as text, so that no number changes.
"""

from datetime import datetime
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import Column, Row, Select, Uuid, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from app.request_errors import NotFoundError
from app.store.read.filters import EventFilter, RejectedFilter
from app.store.read.row_json import shown_columns
from app.store.tables import events, rejected_events

# Rows held in memory at once; each may have 128 KiB.
_PORTION = 50
# A page ends early beyond this many characters.
_PAGE_CHARACTERS = 4 * 1024 * 1024
_PLAN_ANEW = "SET LOCAL plan_cache_mode = force_custom_plan"


# A stored or rejected event: an attribute for each column, those of jsonb as JSON text.
EventRow: TypeAlias = Row[Any]


class KeysetPosition(NamedTuple):
    """A place in the order: when the row came in, and its id."""

    at: datetime
    id: UUID


class Page(NamedTuple):
    """Some rows, the newest first, and where to go on; None at the end."""

    rows: list[EventRow]
    last: KeysetPosition | None


async def read_events(
    connection: AsyncConnection,
    wanted: EventFilter,
    *,
    before: KeysetPosition | None = None,
    limit: int,
) -> Page:
    """The newest events that match, before a place in the order of storing.

    A page of large events ends before the limit.
    """
    if wanted.since is not None or wanted.until is not None:
        # A plan that is kept for spans of any length reads from the newest event on.
        await connection.exec_driver_sql(_PLAN_ANEW)
    query = events_query(wanted, before=before)
    return await _read_page(connection, query, "stored_at", limit=limit)


async def read_rejected(
    connection: AsyncConnection,
    wanted: RejectedFilter,
    *,
    before: KeysetPosition | None = None,
    limit: int,
) -> Page:
    """As `read_events`, of rejected ones, in the order of receipt."""
    query = rejected_query(wanted, before=before)
    return await _read_page(connection, query, "received_at", limit=limit)


async def find_rejected(connection: AsyncConnection, *, id_: UUID) -> EventRow:
    """Read one rejected event.

    Raises:
        NotFoundError: there is none with this id.
    """
    page = await read_rejected(connection, RejectedFilter(id=id_), limit=1)
    if not page.rows:
        raise NotFoundError(
            "No rejected event has this id. It may have been replayed or purged."
        )
    return page.rows[0]


def events_query(wanted: EventFilter, *, before: KeysetPosition | None) -> Select[Any]:
    """The query of `read_events`, without a limit."""
    return _newest_first(events.c.stored_at, events.c.id, before).where(
        *wanted.conditions()
    )


def rejected_query(
    wanted: RejectedFilter, *, before: KeysetPosition | None
) -> Select[Any]:
    """The query of `read_rejected`, without a limit."""
    columns = rejected_events.c
    return _newest_first(columns.received_at, columns.id, before).where(
        *wanted.conditions()
    )


def _newest_first(
    at: Column[datetime], id_: Column[UUID], before: KeysetPosition | None
) -> Select[Any]:
    query = select(*shown_columns(at.table))
    if before is not None:
        place = tuple_(literal(before.at, at.type), literal(before.id, Uuid))
        # By the first, partitions are left out, which the pair alone would not do.
        query = query.where(at <= before.at, tuple_(at, id_) < place)
    return query.order_by(at.desc(), id_.desc())


async def _read_page(
    connection: AsyncConnection, query: Select[Any], at: str, *, limit: int
) -> Page:
    result = await connection.stream(query.limit(limit + 1))
    rows: list[EventRow] = []
    size = 0
    async for portion in result.partitions(_PORTION):
        for row in portion:
            if len(rows) == limit or size > _PAGE_CHARACTERS:
                await result.close()
                last = rows[-1]
                return Page(rows, KeysetPosition(getattr(last, at), last.id))
            rows.append(row)
            size += sum(len(value) for value in row if isinstance(value, str))
    return Page(rows, None)

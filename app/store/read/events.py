"""Reading stored and rejected events page by page, the newest first.

jsonb columns are read as text, so that no number changes.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import Column, Select, Table, Text, Uuid, cast, literal, select, tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from app.request_errors import NotFoundError
from app.store.read.filters import EventFilter, RejectedFilter
from app.store.tables import events, rejected_events

# Rows held in memory at once; each may have 128 KiB.
_PORTION = 50
# A page ends early beyond this.
_PAGE_BYTES = 4 * 1024 * 1024
_PLAN_ANEW = "SET LOCAL plan_cache_mode = force_custom_plan"


@dataclass(frozen=True, slots=True)
class EventRow:
    """A stored event.

    Attributes:
        properties: JSON text, and so are the context, the warnings and the unknown
            top-level fields (`extra`).
    """

    id: UUID
    source: str
    event: str
    user_id: str
    group_id: str | None
    timestamp: datetime
    timestamp_raw: str
    received_at: datetime
    stored_at: datetime
    message_id: str | None
    properties: str
    context: str
    warnings: str
    extra: str

    @property
    def place(self) -> "KeysetPosition":
        """Its position in the order of storing."""
        return KeysetPosition(self.stored_at, self.id)

    @property
    def size(self) -> int:
        """Number of characters in its long columns."""
        texts = (self.properties, self.context, self.warnings, self.extra)
        return sum(map(len, texts))


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A rejected event.

    Attributes:
        errors: JSON text, and so are the warnings.
        payload: the payload as ASCII-escaped JSON, which may be cut short.
    """

    id: UUID
    received_at: datetime
    source: str
    event: str | None
    message_id: str | None
    reason: str
    errors: str
    warnings: str
    payload: str
    payload_bytes: int
    truncated: bool
    request_id: str
    corrected_at: datetime | None
    corrected_as: UUID | None

    @property
    def place(self) -> "KeysetPosition":
        """Its position in the order of receipt."""
        return KeysetPosition(self.received_at, self.id)

    @property
    def size(self) -> int:
        """Number of characters in its long columns."""
        return len(self.payload) + len(self.errors) + len(self.warnings)


Row = TypeVar("Row", EventRow, RejectedRow)


class KeysetPosition(NamedTuple):
    """A place in the order: when the row came in, and its id."""

    at: datetime
    id: UUID


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows, the newest first, and where to go on; None at the end."""

    rows: list[Row]
    last: KeysetPosition | None


async def read_events(
    connection: AsyncConnection,
    wanted: EventFilter,
    *,
    before: KeysetPosition | None = None,
    limit: int,
) -> Page[EventRow]:
    """The newest events that match, before a place in the order of storing.

    A page of large events ends before the limit.
    """
    if wanted.since is not None or wanted.until is not None:
        # A plan that is kept for spans of any length reads from the newest event on.
        await connection.exec_driver_sql(_PLAN_ANEW)
    query = events_query(wanted, before=before)
    return await _read_page(connection, query, EventRow, limit=limit)


async def read_rejected(
    connection: AsyncConnection,
    wanted: RejectedFilter,
    *,
    before: KeysetPosition | None = None,
    limit: int,
) -> Page[RejectedRow]:
    """As `read_events`, of rejected ones, in the order of receipt."""
    query = rejected_query(wanted, before=before)
    return await _read_page(connection, query, RejectedRow, limit=limit)


async def find_rejected(connection: AsyncConnection, *, id_: UUID) -> RejectedRow:
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
    """Columns of `EventRow`, the newest first, without a limit."""
    order = (events.c.stored_at, events.c.id)
    query = select(*_columns(events, EventRow)).where(*wanted.conditions())
    return _ordered(query, order, before)


def rejected_query(
    wanted: RejectedFilter, *, before: KeysetPosition | None
) -> Select[Any]:
    """Columns of `RejectedRow`, the newest first, without a limit."""
    order = (rejected_events.c.received_at, rejected_events.c.id)
    query = select(*_columns(rejected_events, RejectedRow)).where(*wanted.conditions())
    return _ordered(query, order, before)


def _ordered(
    query: Select[Any],
    order: tuple[Column[datetime], Column[UUID]],
    before: KeysetPosition | None,
) -> Select[Any]:
    at, _ = order
    if before is not None:
        place = tuple_(literal(before.at, at.type), literal(before.id, Uuid))
        # By the first, partitions are left out, which the pair alone would not do.
        query = query.where(at <= before.at, tuple_(*order) < place)
    return query.order_by(*(column.desc() for column in order))


def _columns(table: Table, row: type[EventRow | RejectedRow]) -> list[Any]:
    columns = [table.c[field.name] for field in fields(row)]
    return [
        cast(c, Text).label(c.name) if isinstance(c.type, JSONB) else c for c in columns
    ]


async def _read_page(
    connection: AsyncConnection,
    query: Select[Any],
    make: Callable[..., Row],
    *,
    limit: int,
) -> Page[Row]:
    result = await connection.stream(query.limit(limit + 1))
    rows: list[Row] = []
    size = 0
    async for portion in result.partitions(_PORTION):
        for row in portion:
            if len(rows) == limit or size > _PAGE_BYTES:
                await result.close()
                return Page(rows, rows[-1].place)
            rows.append(make(*row))
            size += rows[-1].size
    return Page(rows, None)

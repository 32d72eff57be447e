"""Reading stored and rejected events page by page, the newest first.

jsonb columns are read as text, so that no number changes.
"""

from datetime import datetime
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import Row, Select, Uuid, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from app.request_errors import NotFoundError
from app.store.read.filters import EventFilter, RejectedFilter
from app.store.read.row_json import shown_columns

# Rows held in memory at once; each may have 128 KiB.
_CHUNK_ROWS = 50
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


async def read_page(
    connection: AsyncConnection,
    wanted: EventFilter | RejectedFilter,
    *,
    before: KeysetPosition | None = None,
    limit: int,
) -> Page:
    """The newest events that match, before a place in the order of reading.

    A page of large events ends before the limit.
    """
    if wanted.since is not None or wanted.until is not None:
        # A plan that is kept for spans of any length reads from the newest event on.
        await connection.exec_driver_sql(_PLAN_ANEW)
    query = page_query(wanted, before=before).limit(limit + 1)
    result = await connection.stream(query)
    rows: list[EventRow] = []
    size = 0
    async for portion in result.partitions(_CHUNK_ROWS):
        for row in portion:
            if len(rows) == limit or size > _PAGE_CHARACTERS:
                await result.close()
                last = rows[-1]
                at = getattr(last, wanted.READ_BY.name)
                return Page(rows, KeysetPosition(at, last.id))
            rows.append(row)
            size += sum(len(value) for value in row if isinstance(value, str))
    return Page(rows, None)


def page_query(
    wanted: EventFilter | RejectedFilter, *, before: KeysetPosition | None
) -> Select[Any]:
    """The query of `read_page`, without a limit."""
    at = wanted.READ_BY
    id_ = at.table.c.id
    query = select(*shown_columns(at.table)).where(*wanted.conditions())
    if before is not None:
        place = tuple_(literal(before.at, at.type), literal(before.id, Uuid))
        # By the first, partitions are left out, which the pair alone would not do.
        query = query.where(at <= before.at, tuple_(at, id_) < place)
    return query.order_by(at.desc(), id_.desc())


async def find_rejected(connection: AsyncConnection, *, id_: UUID) -> EventRow:
    """Read one rejected event.

    Raises:
        NotFoundError: there is none with this id.
    """
    page = await read_page(connection, RejectedFilter(id=id_), limit=1)
    if not page.rows:
        raise NotFoundError(
            "No rejected event has this id. It may have been replayed or purged."
        )
    return page.rows[0]

"""Stored events as they are exported: streamed, in one snapshot of the database."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnClause, FromClause, Select, column, select, table, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import DatabaseError
from app.store.db_errors import DATABASE_ERRORS
from app.store.engine import one_connection
from app.store.operator.causes import sqlstate_of
from app.store.read.filters import EventFilter
from app.store.read.row_json import shown_columns
from app.store.tables import events

_CHUNK_ROWS = 1_000
# For one chunk: with a filter, all of the table may have to be read for the first.
_CHUNK_TIMEOUT_S = 3600.0
# The reader of the output may be slow.
_NO_IDLE_TIMEOUT = text("SET LOCAL idle_in_transaction_session_timeout = 0")

_VIEW_COLUMNS = text(
    "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute"
    " WHERE attrelid = to_regclass(quote_ident(:view)) AND attnum > 0"
    " ORDER BY attnum"
)

Write = Callable[[Sequence[str], Sequence[Sequence[Any]]], None]


async def export_events(
    url: str, filters: EventFilter, *, typed: bool, write: Write
) -> None:
    """Pass all matching events on, in any order and in bounded memory.

    Args:
        url: URL of the database.
        filters: selection of events.
        typed: whether to read the typed view of the one event instead of the table.
        write: called at least once with the names of the columns and some rows; jsonb
            is `JsonText`. An exception from it ends the export.

    Raises:
        DatabaseError: the database did not take part to the end.
    """
    try:
        async with (
            one_connection(url, command_timeout_s=_CHUNK_TIMEOUT_S) as engine,
            engine.begin() as connection,
        ):
            await connection.execute(_NO_IDLE_TIMEOUT)
            query = await _query(connection, filters, typed=typed)
            result = await connection.stream(query)
            names = [*map(str, result.keys())]
            write(names, [])
            async for rows in result.partitions(_CHUNK_ROWS):
                write(names, rows)
    except DATABASE_ERRORS as error:
        raise DatabaseError(
            f"The database ended the export ({type(error).__name__} "
            f"{sqlstate_of(error)}): what was written is not all."
        ) from error


async def _query(
    connection: AsyncConnection, filters: EventFilter, *, typed: bool
) -> Select[*tuple[Any, ...]]:
    relation: FromClause = events
    if typed and filters.event is not None:
        found = await connection.execute(_VIEW_COLUMNS, {"view": filters.event})
        columns = [_view_column(name, type_name) for name, type_name in found]
        if not columns:
            raise DatabaseError(
                f"The event {filters.event} has no view yet; run `rollcall migrate`."
            )
        relation = table(filters.event, *columns)
        # A view has the events of one name, and no column for it.
        filters = replace(filters, event=None)
    return select(*shown_columns(relation)).where(*filters.conditions(relation.c))


def _view_column(name: str, type_name: str) -> ColumnClause[Any]:
    """A column, with its type where it matters for reading or selecting."""
    if type_name == "jsonb":
        return column(name, JSONB)
    return column(name, events.c[name].type if name in events.c else None)

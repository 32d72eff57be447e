"""Creating and extending the typed views, and the record of what they show."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Row, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import SchemaError
from app.events.declaration import Declaration
from app.store.migrations import migration_connection
from app.store.tables import event_declarations
from app.store.typed_views.columns import ViewColumn, plan_columns
from app.store.typed_views.statements import RESERVED_COLUMNS, view_statements

_COMMENTS = text(
    "SELECT attname, col_description(attrelid, attnum) FROM pg_attribute"
    " WHERE attrelid = 'events'::regclass AND attnum > 0"
)
_RELATION_EXISTS = text("SELECT to_regclass(quote_ident(:name)) IS NOT NULL")
# Limit of Postgres.
_MAX_COLUMNS = 1_600


class ViewChange(NamedTuple):
    """Change of the view of one event.

    Attributes:
        is_new: whether the view was created.
        added: names of the columns that were added to a view that existed.
    """

    event: str
    is_new: bool
    added: tuple[str, ...]


async def update_views(
    url: str, declarations: Iterable[Declaration]
) -> list[ViewChange]:
    """Create or extend the view of each declared event, all in one transaction.

    A view whose declaration has not changed is left alone.

    Args:
        url: of a database whose schema is up to date.
        declarations: accepted ones.

    Returns:
        The views that changed.

    Raises:
        SchemaError: a table or view that Rollcall did not make has the name.
        OSError, DBAPIError: Postgres cannot be reached, or refuses.
    """
    changes = []
    async with migration_connection(url) as connection, connection.begin():
        result = await connection.execute(select(event_declarations))
        recorded = {row.event: row for row in result}
        for declaration in declarations:
            row = recorded.get(declaration.name)
            if row is None or row.digest != declaration.digest:
                changes.append(await _update(connection, declaration, row))
    return changes


async def stored_declarations(connection: AsyncConnection) -> dict[str, Declaration]:
    """The declarations that the typed views were made from, by event name."""
    result = await connection.execute(
        select(event_declarations.c.declaration).order_by(event_declarations.c.event)
    )
    found = [Declaration.model_validate(document) for document in result.scalars()]
    return {declaration.name: declaration for declaration in found}


async def _update(
    connection: AsyncConnection, declaration: Declaration, recorded: Row[Any] | None
) -> ViewChange:
    before: list[ViewColumn] = []
    if recorded is not None:
        before = [ViewColumn.from_json(document) for document in recorded.columns]
    else:
        await _check_name_is_free(connection, declaration.name)
    columns = plan_columns(declaration, before=before, reserved=RESERVED_COLUMNS)
    if len(columns) + len(RESERVED_COLUMNS) > _MAX_COLUMNS:
        raise SchemaError(
            f"The view of {declaration.name} would have more than {_MAX_COLUMNS}"
            " columns; declare the event under a new name."
        )
    comments = dict(tuple(row) for row in await connection.execute(_COMMENTS))
    for statement in view_statements(declaration, columns, comments=comments):
        await connection.exec_driver_sql(statement)
    row = {
        "event": declaration.name,
        "digest": declaration.digest,
        "declaration": declaration.model_dump_json(
            by_alias=True, exclude_defaults=True
        ),
        "columns": json.dumps([column._asdict() for column in columns]),
    }
    upsert = insert(event_declarations).values(row)
    await connection.execute(
        upsert.on_conflict_do_update(
            index_elements=["event"],
            set_={
                **{name: upsert.excluded[name] for name in row if name != "event"},
                "migrated_at": text("now()"),
            },
        )
    )
    added = tuple(column.name for column in columns[len(before) :])
    return ViewChange(declaration.name, recorded is None, added)


async def _check_name_is_free(connection: AsyncConnection, name: str) -> None:
    if await connection.scalar(_RELATION_EXISTS, {"name": name}):
        raise SchemaError(
            f"The database has a table or view `{name}` that Rollcall did not make, so"
            f" the event `{name}` can have no view. Rename the event or the table."
        )

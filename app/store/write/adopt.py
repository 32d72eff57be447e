"""Adoption: events that were stored undeclared are validated once they are declared."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import Row, Text, cast, literal, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.events.catalog import Catalog
from app.pipeline.fields.canonical import CanonicalEvent
from app.pipeline.issues import Issue, WarningCode
from app.pipeline.json_decode import decode
from app.pipeline.validation import validate
from app.store.operator.causes import sqlstate_of
from app.store.tables import events

_MAX_DEPTH = 200
_DEADLOCK = "40P01"
_UNDECLARED = text(
    "warnings @> jsonb_build_array(jsonb_build_object('code', CAST(:code AS text)))"
).bindparams(code=WarningCode.UNDECLARED_EVENT.value)
_COLUMNS = (
    events.c.bucket,
    events.c.stored_at,
    events.c.id,
    events.c.event,
    events.c.user_id,
    events.c.group_id,
    events.c.timestamp_raw,
    events.c.message_id,
    cast(events.c.properties, Text).label("properties"),
    cast(events.c.context, Text).label("context"),
    cast(events.c.warnings, Text).label("warnings"),
)


class NotAdopted(NamedTuple):
    """An event that stays undeclared, because its declaration would reject it."""

    id: UUID
    errors: Sequence[Issue]


class Adopted(NamedTuple):
    """Result of one batch.

    Attributes:
        adopted: number of events that are valid now.
        failures: events that keep the warning `undeclared_event`.
    """

    adopted: int
    failures: list[NotAdopted]


async def adopt(
    engine: AsyncEngine,
    name: str,
    *,
    catalog: Catalog,
    report: Callable[[Adopted], None],
    limit: int = 1_000,
) -> None:
    """Validate the undeclared events of a name, and remove the warning where they pass.

    Every event stays stored, whatever the result.

    Args:
        engine: begins and commits a transaction for each batch.
        name: of an event that is in the catalog.
        catalog: today's.
        report: called after the commit of each batch.
        limit: number of events in a batch.
    """
    after: Row[Any] | None = None
    while True:
        try:
            async with engine.begin() as connection:
                rows = await _read(connection, name, after=after, limit=limit)
                adopted = await _adopt(connection, rows, catalog)
        except DBAPIError as error:
            if sqlstate_of(error) != _DEADLOCK:
                raise
            continue  # with an erasure, which changes rows in another order
        if not rows:
            return
        report(adopted)
        after = rows[-1]


async def _read(
    connection: AsyncConnection, name: str, *, after: Row[Any] | None, limit: int
) -> Sequence[Row[Any]]:
    query = (
        select(*_COLUMNS)
        .where(events.c.event == name, _UNDECLARED)
        .order_by(events.c.stored_at, events.c.id)
        .limit(limit)
    )
    if after is not None:
        place = tuple_(events.c.stored_at, events.c.id)
        query = query.where(place > tuple_(after.stored_at, after.id))
    return (await connection.execute(query)).all()


async def _adopt(
    connection: AsyncConnection, rows: Sequence[Row[Any]], catalog: Catalog
) -> Adopted:
    adopted = 0
    failures: list[NotAdopted] = []
    for row in rows:
        errors = _validate(row, catalog)
        if errors:
            failures.append(NotAdopted(row.id, errors))
            continue
        warnings = [
            warning
            for warning in orjson.loads(row.warnings)
            if warning["code"] != WarningCode.UNDECLARED_EVENT
        ]
        # By bucket and week, so that only one partition is searched. A row that an
        # erasure has changed meanwhile stays as it is; a lock of the rows instead of
        # comparing the warnings would not work on shards.
        change = (
            update(events)
            .where(
                events.c.bucket == row.bucket,
                events.c.id == row.id,
                events.c.stored_at == row.stored_at,
                events.c.warnings == literal(row.warnings, JSONB),
            )
            .values(warnings=orjson.dumps(warnings).decode())
        )
        adopted += (await connection.execute(change)).rowcount
    return Adopted(adopted, failures)


def _validate(row: Row[Any], catalog: Catalog) -> list[Issue]:
    fields: dict[str, Any] = {
        "event": row.event,
        "user_id": row.user_id,
        "timestamp": row.timestamp_raw,
        "properties": decode(row.properties.encode(), max_depth=_MAX_DEPTH).value,
        "context": decode(row.context.encode(), max_depth=_MAX_DEPTH).value,
    }
    if row.group_id is not None:
        fields["group_id"] = row.group_id
    if row.message_id is not None:
        fields["message_id"] = row.message_id
    names = {name: name for name in fields}
    canonical = CanonicalEvent(fields, names, {})
    _, errors, _ = validate(canonical, catalog, sent=fields)
    return errors

"""The traces of one person in the tables: their own events, and mentions by others.

Postgres narrows the rows down by text, in one pass over the tables; `Person` decides.
"""

import json
import string
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.pipeline.json_decode import decode
from app.pipeline.json_encode import encode_exactly
from app.pipeline.person import Person
from app.request_errors import InvalidJsonError

_PAGE = 500
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_JSON = ("properties", "context", "extra", "warnings")
_TEXT = ("user_id", "group_id", "message_id")
# Lower case in the collation C changes ASCII letters only, as `_LOWER` does.
_EVENTS = text("""
SELECT id, stored_at, source, event, user_id, group_id, "timestamp", timestamp_raw,
    received_at, message_id, CAST(properties AS text) AS properties,
    CAST(context AS text) AS context, CAST(extra AS text) AS extra,
    CAST(warnings AS text) AS warnings
FROM events
WHERE user_id = :user_id OR lower(concat_ws(
    chr(10), user_id, group_id, message_id, timestamp_raw, properties, context, extra,
    warnings
) COLLATE "C") LIKE ANY(CAST(:patterns AS text[]))
""")
_REJECTED = text("""
SELECT id, received_at, source, event, message_id, reason, payload, request_id,
    CAST(errors AS text) AS errors, CAST(warnings AS text) AS warnings
FROM rejected_events
WHERE lower(concat_ws(
    chr(10), event, message_id, payload, errors, warnings
) COLLATE "C") LIKE ANY(CAST(:patterns AS text[]))
""")


@dataclass(frozen=True, slots=True)
class Trace:
    """A row that concerns the person.

    Attributes:
        table: where it is.
        id: of the row.
        at: `stored_at` of an event, `received_at` of a rejected event.
        is_own: whether the event is about the person; else it mentions the person.
        columns: the columns of the row; JSON is decoded where it can be.
    """

    table: Literal["events", "rejected_events"]
    id: UUID
    at: datetime
    is_own: bool
    columns: dict[str, Any]


async def find_traces(
    connection: AsyncConnection, person: Person
) -> AsyncIterator[Trace]:
    """All rows that hold a trace of the person, events first.

    Args:
        connection: in a transaction, with a role that may read both tables. The
            statement timeout has to allow for reading all of both.
        person: the person to look for.
    """
    parameters = {"user_id": person.user_id, "patterns": patterns_of(person.forms)}
    async for row in _rows(connection, _EVENTS, parameters):
        columns = {**row, **{name: decode_text(row[name]) for name in _JSON}}
        is_own = person.is_user(row["user_id"])
        texts = [row[name] for name in (*_TEXT, "timestamp_raw") if row[name]]
        if is_own or person.is_in(texts) or person.is_in([columns[n] for n in _JSON]):
            yield Trace("events", row["id"], row["stored_at"], is_own, columns)
    del parameters["user_id"]
    async for row in _rows(connection, _REJECTED, parameters):
        payload = decode_text(row["payload"])
        columns = {
            **row,
            "payload": payload,
            "errors": decode_text(row["errors"]),
            "warnings": decode_text(row["warnings"]),
        }
        is_own = person.owns(payload)
        if is_own or person.is_in(
            [
                value
                for value in columns.values()
                if isinstance(value, str | dict | list)
            ]
        ):
            yield Trace(
                "rejected_events", row["id"], row["received_at"], is_own, columns
            )


def patterns_of(forms: Iterable[str]) -> list[str]:
    """LIKE patterns that match each row with one of the forms, and perhaps others."""
    patterns = set()
    for form in forms:
        for written in (form, json.dumps(form)[1:-1], encode_exactly(form)[1:-1]):
            lowered = written.translate(_LOWER)
            escaped = (
                lowered.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            )
            patterns.add(f"%{escaped}%")
    return sorted(patterns)


def decode_text(json_text: str) -> Any:
    """The JSON value of a column, exactly; the text itself where it is cut short."""
    try:
        return decode(json_text.encode(), max_depth=0).value
    except InvalidJsonError:
        return json_text


async def _rows(
    connection: AsyncConnection, statement: Any, parameters: dict[str, Any]
) -> AsyncIterator[dict[str, Any]]:
    result = await connection.stream(statement, parameters)
    async for page in result.mappings().partitions(_PAGE):
        for row in page:
            yield dict(row)

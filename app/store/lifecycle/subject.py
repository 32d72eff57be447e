"""The traces of one person in the tables: their own events, and mentions by others.

Postgres narrows the rows down by text, in one pass over the tables; `Person` decides.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.pipeline.json_decode import decode, depth_of
from app.pipeline.persons.person import EMAIL_NAMES, Person
from app.request_errors import InvalidJsonError

_PAGE = 50
_JSON = ("properties", "context", "extra", "warnings")
# Deeper payloads are searched as text; no stored event is as deep.
_MAX_DEPTH = 128
_SMALL = ("user_id", "event", "truncated")
_TEXT = ("event", "user_id", "group_id", "message_id")
# Lower case in the collation C changes ASCII letters only, as `Person.pattern` expects.
_EVENTS = text("""
SELECT id, stored_at, source, event, user_id, group_id, "timestamp", timestamp_raw,
    received_at, message_id, CAST(properties AS text) AS properties,
    CAST(context AS text) AS context, CAST(extra AS text) AS extra,
    CAST(warnings AS text) AS warnings
FROM events
WHERE lower(concat_ws(
    chr(10), event, user_id, group_id, message_id, timestamp_raw, properties, context,
    extra, warnings
) COLLATE "C") ~ :pattern
""")
_REJECTED = text("""
SELECT id, received_at, source, event, message_id, reason, payload, truncated,
    request_id, CAST(errors AS text) AS errors, CAST(warnings AS text) AS warnings
FROM rejected_events
WHERE truncated OR lower(concat_ws(
    chr(10), event, message_id, payload, errors, warnings
) COLLATE "C") ~ :pattern
""")


@dataclass(frozen=True, slots=True)
class Trace:
    """A row that concerns the person.

    Attributes:
        at: `stored_at` of an event, `received_at` of a rejected event.
        is_own: whether the event is about the person; else it mentions the person.
        columns: the columns of the row; JSON is decoded where it can be.
    """

    table: Literal["events", "rejected_events"]
    id: UUID
    at: datetime
    is_own: bool
    columns: dict[str, Any]

    def without_content(self) -> "Trace":
        """The row without the columns that may be large, apart from addresses."""
        columns = {name: self.columns.get(name) for name in _SMALL}
        properties = self.columns.get("properties")
        if self.is_own and isinstance(properties, dict):
            addresses = {name: properties.get(name) for name in EMAIL_NAMES}
            columns["properties"] = addresses
        return replace(self, columns=columns)


async def find_traces(
    connection: AsyncConnection, person: Person
) -> AsyncIterator[Trace]:
    """All rows that hold a trace of the person, events first.

    The role may read both tables, and the statement timeout allows for reading all.
    """
    async for row in _rows(connection, _EVENTS, {"pattern": person.pattern}):
        columns = {**row, **{name: decode_text(row[name]) for name in _JSON}}
        is_own = person.is_user(row["user_id"])
        if is_own or redact_columns(person, columns) != columns:
            yield Trace("events", row["id"], row["stored_at"], is_own, columns)
    async for row in _rows(connection, _REJECTED, {"pattern": person.pattern}):
        is_own, payload = _read_payload(row, person)
        columns = {
            **row,
            "payload": payload,
            "errors": decode_text(row["errors"]),
            "warnings": decode_text(row["warnings"]),
        }
        if is_own or redact_columns(person, columns) != columns:
            yield Trace(
                "rejected_events", row["id"], row["received_at"], is_own, columns
            )


def redact_columns(person: Person, columns: dict[str, Any]) -> dict[str, Any]:
    """The columns of a row of either table, with every trace redacted."""
    redacted = dict(columns)
    for name in (*_TEXT, *_JSON, "payload", "errors"):
        if name in columns:
            redacted[name] = person.redact(columns[name])
    if columns.get("timestamp_raw"):
        redacted["timestamp_raw"] = person.redact_timestamp(columns["timestamp_raw"])
    if columns.get("truncated"):
        redacted["payload"] = person.redact_cut(columns["payload"])
    return redacted


def decode_text(json_text: str) -> Any:
    """The JSON value of a column, exactly."""
    return decode(json_text.encode(), max_depth=0).value


def _read_payload(row: dict[str, Any], person: Person) -> tuple[bool, Any]:
    """Whether a payload is about the person, and its value.

    The value is the text itself if it was cut or is deep, so that ownership of a cut
    one stays unknown.
    """
    text_: str = row["payload"]
    if row["truncated"]:
        return False, text_
    try:
        decoded = decode(text_.encode(), max_depth=_MAX_DEPTH)
    except InvalidJsonError:
        return False, text_
    value = decoded.value
    is_deep = decoded.deep and depth_of(value) > _MAX_DEPTH
    return person.owns(value), text_ if is_deep or isinstance(value, str) else value


async def _rows(
    connection: AsyncConnection, statement: Any, parameters: dict[str, Any]
) -> AsyncIterator[dict[str, Any]]:
    result = await connection.stream(statement, parameters)
    async for page in result.mappings().partitions(_PAGE):
        for row in page:
            yield dict(row)

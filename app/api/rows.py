"""Rows as JSON: every value as it is stored, instants in ISO-8601."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias
from uuid import UUID

import orjson
from pydantic import BaseModel, Field, WithJsonSchema

from app.ingest.response_models import IssueModel
from app.store.read.events import EventRow
from app.store.read.row_json import row_json

_Instant: TypeAlias = Annotated[
    str, WithJsonSchema({"type": "string", "format": "date-time"})
]


class StoredEvent(BaseModel):
    """A stored event: a row of `events`."""

    id: UUID
    source: str = Field(description="Who sent it.")
    event: str
    user_id: str
    group_id: str | None
    timestamp: _Instant = Field(description="When it happened, in UTC.")
    timestamp_raw: str = Field(description="The same as it was sent.")
    received_at: _Instant
    stored_at: _Instant
    message_id: str | None
    properties: dict[str, Any]
    context: dict[str, Any]
    warnings: list[IssueModel]
    extra: dict[str, Any] = Field(description="Unknown top-level fields as sent.")


class StoredRejection(BaseModel):
    """A rejected event: a row of `rejected_events`."""

    id: UUID
    received_at: _Instant
    source: str = Field(description="Who sent it.")
    event: str | None = Field(description="Its name as sent.")
    message_id: str | None
    reason: str = Field(description="The code of the first error.")
    errors: list[IssueModel]
    warnings: list[IssueModel]
    payload: str = Field(description="What was sent, as ASCII-escaped JSON text.")
    payload_bytes: int = Field(description="Of the whole payload.")
    truncated: bool = Field(description="Whether the payload was cut short.")
    request_id: str
    corrected_at: _Instant | None = Field(
        description="When an operator stored a corrected payload."
    )
    corrected_as: UUID | None = Field(description="Id of the corrected event.")


class EventPage(BaseModel):
    """Stored events, the newest first."""

    events: list[StoredEvent]
    next_cursor: str | None = Field(description="Null where there is no more.")


class RejectedPage(BaseModel):
    """Rejected events, the newest first."""

    events: list[StoredRejection]
    next_cursor: str | None = Field(description="Null where there is no more.")


def one_json(row: EventRow) -> bytes:
    """An object as `StoredEvent` and `StoredRejection` describe it."""
    return row_json(row._fields, row)


def page_json(rows: Sequence[EventRow], next_cursor: str | None) -> bytes:
    """An object as `EventPage` and `RejectedPage` describe it."""
    return orjson.dumps(
        {
            "events": [orjson.Fragment(one_json(row)) for row in rows],
            "next_cursor": next_cursor,
        }
    )


def ndjson(rows: Sequence[EventRow]) -> bytes:
    """A line for each row."""
    return b"".join(one_json(row) + b"\n" for row in rows)

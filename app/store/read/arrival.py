"""One thing that arrived, in as few words as a list has room for."""

from datetime import datetime
from typing import Any, Literal, NamedTuple

import orjson
from sqlalchemy import Row

from app.errors import InvalidJsonError
from app.events.envelope import MAX_TEXT, fold
from app.pipeline.json_decode import decode
from app.pipeline.sanitize import replace_unstorable

Status = Literal["stored", "rejected"]

# Deeper ones are not looked into.
_MAX_DEPTH = 200


class Arrival(NamedTuple):
    """An event that was stored or rejected.

    Attributes:
        status: which of the two.
        id: in `events` or in `rejected_events`.
        stored_at: when its transaction began.
        event: its name; of a rejected one as sent, if it had any.
        user_id: of a rejected one as sent, if it can be told.
        group_id: likewise.
        timestamp: when it happened; None for a rejected one.
        reason: code of the first error; None for a stored one.
        warnings: their codes.
    """

    status: Status
    id: str
    stored_at: datetime
    received_at: datetime
    source: str
    event: str | None
    user_id: str | None
    group_id: str | None
    timestamp: datetime | None
    reason: str | None
    warnings: list[str]


def stored_arrival(row: Row[Any]) -> Arrival:
    """Of a row of `events`."""
    return Arrival(
        "stored",
        str(row.id),
        row.stored_at,
        row.received_at,
        row.source,
        row.event,
        row.user_id,
        row.group_id,
        row.timestamp,
        None,
        _codes(row.warnings),
    )


def rejected_arrival(row: Row[Any]) -> Arrival:
    """Of a row of `rejected_events`."""
    sent = _fields(row.payload)
    return Arrival(
        "rejected",
        str(row.id),
        row.stored_at,
        row.received_at,
        row.source,
        row.event,
        _text(sent.get("user_id")),
        _text(sent.get("group_id")),
        None,
        row.reason,
        _codes(row.warnings),
    )


def _codes(issues: str) -> list[str]:
    if issues == "[]":
        return []
    return [issue["code"] for issue in orjson.loads(issues)]


def _fields(payload: str | None) -> dict[str, Any]:
    """The envelope of what was rejected, as far as there is one."""
    if payload is None:
        return {}
    try:
        decoded = decode(payload.encode(), max_depth=_MAX_DEPTH)
    except InvalidJsonError:
        return {}
    # Folding compares values, which goes only so deep.
    if decoded.deep or not isinstance(decoded.value, dict):
        return {}
    return fold(decoded.value).fields


def _text(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return replace_unstorable(str(value)[:MAX_TEXT])

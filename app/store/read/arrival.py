"""One stored or rejected event, reduced to what a row of the live page shows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import orjson

from app.events.envelope import MAX_TEXT
from app.pipeline.fields.canonical import canonicalise
from app.pipeline.fields.sanitize import replace_unstorable
from app.pipeline.json_decode import decode, depth_of
from app.request_errors import InvalidJsonError

Status = Literal["stored", "rejected"]

# Deeper payloads are not searched for a user and an account.
_MAX_DEPTH = 200


class Arrival(NamedTuple):
    """An event that was stored or rejected.

    Attributes:
        stored_at: start of the transaction that stored it.
        event, user_id, group_id: of a rejected event as sent, or None.
        timestamp: when it happened; None for a rejected event.
        reason: code of the first error; None for a stored event.
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


def to_arrival(row: Sequence[Any]) -> Arrival:
    """Convert a row of `POLL`."""
    *columns, warnings, payload = row
    codes = [issue["code"] for issue in orjson.loads(warnings)]
    arrival = Arrival._make([*columns, codes])
    if payload is None:
        return arrival
    fields = _envelope(payload)
    return arrival._replace(
        user_id=_as_text(fields.get("user_id")),
        group_id=_as_text(fields.get("group_id")),
    )


def _envelope(payload: str) -> dict[str, Any]:
    """The canonical fields of a rejected payload, as far as it has any."""
    try:
        decoded = decode(payload.encode(), max_depth=_MAX_DEPTH)
    except InvalidJsonError:
        return {}
    # Canonical names are found by comparing values, which recurses.
    value = decoded.value
    if (decoded.deep and depth_of(value) > _MAX_DEPTH) or not isinstance(value, dict):
        return {}
    return canonicalise(value).fields


def _as_text(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return replace_unstorable(str(value)[:MAX_TEXT])

"""Rejections: the rows of events that are not stored."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.events.envelope import FIELD_NAMES, MAX_TEXT
from app.pipeline.fields.sanitize import replace_unstorable
from app.pipeline.identity import identify_rejection
from app.pipeline.issues import Issue
from app.pipeline.json_encode import encode_exactly
from app.pipeline.record import RequestContext

MAX_PAYLOAD = 128 * 1024


@dataclass(frozen=True, slots=True)
class Rejection:
    """An event that is not stored: one row of `rejected_events`.

    Attributes:
        id: UUID as text; equal for the same payload with the same reason.
        event: the name as sent, made storable and cut to 255 characters.
        message_id: as sent, made storable and cut to 255 characters.
        reason: the code of the first error.
        payload: the event's JSON before repair, ASCII, at most 128 KiB of it.
        payload_bytes: of the payload before it was cut.
        truncated: whether it was cut.
    """

    id: str
    received_at: datetime
    source: str
    event: str | None
    message_id: str | None
    reason: str
    errors: tuple[Issue, ...]
    warnings: tuple[Issue, ...]
    payload: str
    payload_bytes: int
    truncated: bool
    request_id: str


def reject(
    sent: Any,
    *,
    request_context: RequestContext,
    errors: list[Issue],
    warnings: list[Issue] | tuple[Issue, ...] = (),
    message_id: str | None = None,
) -> Rejection:
    """Make the row that keeps an event which is not stored.

    Args:
        sent: the event as decoded.
        request_context: its source and time of receipt.
        errors: at least one; the first gives the reason.
        warnings: further issues of the event.
        message_id: used if the event has none of its own.
    """
    payload = encode_exactly(sent)
    name = message = None
    if isinstance(sent, dict):
        name = _as_column(_first(sent, FIELD_NAMES["event"]))
        message = _as_column(
            _first(sent, FIELD_NAMES["message_id"], default=message_id)
        )
    reason = errors[0].code
    return Rejection(
        id=identify_rejection(
            request_context.source, message_id=message, payload=payload, reason=reason
        ),
        received_at=request_context.received_at,
        source=request_context.source,
        event=name,
        message_id=message,
        reason=reason,
        errors=tuple(errors),
        warnings=tuple(warnings),
        payload=payload[:MAX_PAYLOAD],
        payload_bytes=len(payload),
        truncated=len(payload) > MAX_PAYLOAD,
        request_id=request_context.request_id,
    )


def _first(sent: dict[str, Any], names: tuple[str, ...], default: Any = None) -> Any:
    """The first value; compares none, since an event may be too deep for that."""
    return next((sent[name] for name in names if sent.get(name) is not None), default)


def _as_column(value: object) -> str | None:
    return replace_unstorable(value[:MAX_TEXT]) if isinstance(value, str) else None

"""Restore the sent form of an exported event, so that an import gives the same id.

An export writes the instant as `timestamp`, and the text that was sent for it as
`timestamp_raw`. The latter is part of an event's identity (`app.pipeline.identity`).
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from app.events.envelope import GROUP_NAMES
from app.pipeline.issues import Issue
from app.pipeline.json_decode import decode
from app.pipeline.json_encode import encode_exactly
from app.pipeline.record import Record
from app.pipeline.timestamp import TimestampError, TimestampPolicy, parse_timestamp
from app.request_errors import InvalidJsonError

_EXPORTED = frozenset({"id", "source", "timestamp_raw", "warnings"})
_ID_VERSION = 8  # of all ids of events
# Columns of an export that were not sent.
_ADDED = frozenset(
    {"id", "source", "timestamp_raw", "received_at", "stored_at", "warnings", "extra"}
)


def restore_sent_form(
    value: Any, *, received_at: datetime, policy: TimestampPolicy
) -> Any:
    """An exported event as it was sent; any other event unchanged.

    An exported event is recognised by its `timestamp_raw`, which must read as the
    instant in `timestamp`: so an event with a field of that name keeps its time.

    Args:
        value: decoded JSON; not modified.
        received_at: aware, as for `parse_timestamp`.
        policy: as for `parse_timestamp`.
    """
    if not isinstance(value, dict) or not isinstance(value.get("timestamp_raw"), str):
        return value

    def read(timestamp: Any) -> datetime | None:
        try:
            return parse_timestamp(
                timestamp, received_at=received_at, policy=policy
            ).instant
        except TimestampError:
            return None

    instant = read(value.get("timestamp"))
    for timestamp in _forms_of(value["timestamp_raw"]):
        if instant is not None and read(timestamp) == instant:
            sent = {key: value[key] for key in value if key not in _ADDED}
            if _is_in_context(value):
                del sent["group_id"]
            extra = value.get("extra")
            unknown = extra if isinstance(extra, dict) else {}
            return unknown | sent | {"timestamp": timestamp}
    return value


def restore_identity(record: Record, value: Any) -> Record:
    """The record of an exported event, with the id and warnings of the export.

    The warnings name repairs that are done already, so processing does not find them
    again. A repair also changes the content, from which an id is derived without a
    message id: then the id is taken from the export, if it has the same source.
    """
    if not _EXPORTED.issubset(value) or value["source"] != record.source:
        return record
    try:
        id_ = UUID(value["id"])
        exported = [Issue(**warning) for warning in value["warnings"]]
    except (TypeError, ValueError, AttributeError):
        return record
    known = {warning.code for warning in exported}
    others = (each for each in record.warnings if each.code not in known)
    is_same = record.message_id is not None or id_.version != _ID_VERSION
    extra = value.get("extra")
    if isinstance(extra, dict) and None in extra.values():
        # In an event null is absence; here it stands for a NaN that was repaired.
        record = record._replace(extra=encode_exactly(extra))
    return record._replace(
        id=record.id if is_same else str(id_), warnings=(*exported, *others)
    )


def _forms_of(raw: str) -> Iterator[Any]:
    """The values that may have been sent, where this is their text."""
    yield raw
    try:
        number = decode(raw.encode(), max_depth=1).value
    except InvalidJsonError:
        return
    if type(number) in {int, float, Decimal}:
        yield number


def _is_in_context(value: dict[str, Any]) -> bool:
    """Whether the group id only repeats, as text, the one in the context."""
    context = value.get("context")
    if not isinstance(context, dict):
        return False
    sent = [context[name] for name in GROUP_NAMES if context.get(name) is not None]
    return bool(sent) and str(sent[0]) == value.get("group_id")

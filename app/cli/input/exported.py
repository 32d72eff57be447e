"""Restore the sent form of an exported event, so that an import gives the same id.

An export writes the instant as `timestamp`, and the text that was sent for it as
`timestamp_raw`. The latter is part of an event's identity (`app.pipeline.identity`).
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from app.events.envelope import GROUP_NAMES
from app.pipeline.timestamp import TimestampError, TimestampPolicy, parse_timestamp

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


def _forms_of(raw: str) -> Iterator[str | int | float]:
    """The values that may have been sent, where this is their text."""
    yield raw
    try:
        number = json.loads(raw)
    except ValueError:
        return
    if type(number) is int or type(number) is float:
        yield number


def _is_in_context(value: dict[str, Any]) -> bool:
    """Whether the group id only repeats, as text, the one in the context."""
    context = value.get("context")
    if not isinstance(context, dict):
        return False
    sent = [context[name] for name in GROUP_NAMES if context.get(name) is not None]
    return bool(sent) and str(sent[0]) == value.get("group_id")

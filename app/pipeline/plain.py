"""The short way of an event that needs no repair, as nearly all do.

It makes the same record as `app.pipeline.process` in half the time, because it keeps
neither errors nor repairs. An event with anything unusual gets no record here and is
left to the other way. A test holds both ways equal.
"""

from typing import Any

from orjson import Fragment, JSONEncodeError
from pydantic import ValidationError

from app.events.catalog import Catalog
from app.events.event_type import EventType
from app.pipeline.fields.canonical import fields_by_shape
from app.pipeline.fields.placeholders import FIRST_CHARACTERS, is_placeholder
from app.pipeline.identity import hash_content, identify, without_group
from app.pipeline.issues import Issue
from app.pipeline.json_encode import encode_plain
from app.pipeline.record import BodyTraits, Policy, Record, RequestContext
from app.pipeline.timestamp import TimestampError, parse_timestamp, read_common
from app.pipeline.validation import check_presence, find_name

# Bytes that an event has beyond its content, at most: the names of its fields, and the
# ids of the message and of the group in the context, with each character escaped.
_NOT_IN_CONTENT = 4_096


class _UnusualError(Exception):
    """The event has something that only the other way handles."""


def record_of_plain(
    sent: Any, request_context: RequestContext, policy: Policy, body: BodyTraits
) -> Record | None:
    """The record of a good event; None if anything about the event is unusual.

    Args:
        sent: one decoded JSON value of a plain body; not modified.
        request_context: without an idempotency key.
        policy: the limits of an event.
        body: traits that all events of the body share.
    """
    fields = fields_by_shape(sent) if type(sent) is dict else None
    if fields is None:
        return None
    try:
        return _record(sent, fields, request_context, policy, body)
    # JSONEncodeError: deeper than the fast encoder reaches.
    except (_UnusualError, ValidationError, TimestampError, JSONEncodeError):
        return None


def _record(
    sent: dict[str, Any],
    fields: dict[str, Any],
    request_context: RequestContext,
    policy: Policy,
    body: BodyTraits,
) -> Record:
    # A call is 1 % of its time, so only code that few events need has a function.
    get, catalog = fields.get, policy.catalog
    sent_name, user_id = get("event"), get("user_id")
    # An integer is common, and takes long to be refused.
    if type(sent_name) is not str or type(user_id) is not str:
        raise _UnusualError
    warnings: list[Issue] = []
    name, event_type = sent_name, catalog.find(sent_name)
    if event_type is None:
        name = fields["event"] = _find_name(sent_name, sent, catalog, warnings)
        event_type = catalog.find(name)
    catalog.validator(name)(fields)
    group_id, message_id = get("group_id"), get("message_id")
    first = user_id[0], group_id and group_id[0], message_id and message_id[0]
    if not FIRST_CHARACTERS.isdisjoint(first):
        _refuse_placeholders(user_id, group_id, message_id)
    properties, context = fields["properties"], get("context")
    if event_type and None in map(properties.get, event_type.expected):
        warnings += _find_missing(event_type, properties, sent)
    raw, received_at = fields["timestamp"], request_context.received_at
    instant = read_common(raw) if type(raw) is str else None
    timestamps = policy.timestamps
    if (
        instant is None
        or instant > received_at
        or instant < timestamps.earliest
        or timestamps.max_age is not None
    ):
        parsed = parse_timestamp(raw, received_at=received_at, policy=timestamps)
        instant, raw = parsed.instant, parsed.raw
        path = "timestamp" if "timestamp" in sent else "originalTimestamp"
        warnings += [Issue(code, path, message) for code, message in parsed.warnings]
    json = encode_plain(properties)
    content = encode_plain(
        [sent_name, user_id, group_id, raw, Fragment(json), without_group(context)]
    )
    if body.deep or body.large:
        whole = content if sent.keys() <= fields.keys() else encode_plain(sent)
        if not _is_surely_within(policy, whole):
            raise _UnusualError
    source = request_context.source
    # By position, in the order of the fields: by name, it takes half as long again.
    return Record(
        identify(
            source,
            event=name,
            user_id=user_id,
            group_id=group_id,
            message_id=message_id,
            content=content,
        ),
        source,
        name,
        user_id,
        group_id,
        instant,
        raw,
        received_at,
        message_id,
        json.decode(),
        encode_plain(context).decode() if context else "{}",
        tuple(warnings),
        hash_content(content),
        sent,
        request_context.request_id,
        "{}",
    )


def _find_name(
    sent_name: str, sent: dict[str, Any], catalog: Catalog, warnings: list[Issue]
) -> str:
    path = "event" if "event" in sent else "event_name"
    name = find_name(sent_name, path, catalog, warnings)
    if name is None:
        raise _UnusualError
    return name


def _refuse_placeholders(*ids: str | None) -> None:
    if any(map(is_placeholder, filter(None, ids))):
        raise _UnusualError


def _find_missing(
    event_type: EventType, properties: dict[str, Any], sent: dict[str, Any]
) -> list[Issue]:
    errors, warnings = check_presence(event_type, properties, "properties", sent)
    if errors:
        raise _UnusualError
    return warnings


def _is_surely_within(policy: Policy, whole: bytes) -> bool:
    """Whether an event is within its limits, by its JSON or that of its content.

    False if it is near one of them.
    """
    is_small = len(whole) + _NOT_IN_CONTENT <= policy.max_event_bytes
    return is_small and whole.count(b"{") + whole.count(b"[") <= policy.max_depth

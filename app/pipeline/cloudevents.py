"""CloudEvents 1.0: their attributes as fields of an event.

Structured, batched and binary mode lead to the same object: in binary mode, the headers
give the attributes and the body is the data.
"""

from typing import Any
from urllib.parse import unquote

from app.pipeline.fields.canonical import CanonicalEvent
from app.pipeline.issues import ErrorCode, Issue

_VERSION = "1.0"
_HEADER_PREFIX = b"ce-"
_REQUIRED = ("id", "source", "type")
# Attributes that become fields of the event or describe its encoding.
_READ = frozenset({"specversion", "id", "type", "time", "data", "datacontenttype"})


def is_cloudevent(event: dict[str, Any]) -> bool:
    """Whether an object is a CloudEvent in structured mode."""
    return "specversion" in event and "event" not in event


def binary_attributes(headers: dict[bytes, bytes]) -> dict[str, Any] | None:
    """The attributes of a CloudEvent in binary mode; None without `ce-specversion`.

    Args:
        headers: lower-case names.
    """
    if b"ce-specversion" not in headers:
        return None
    return {
        name.removeprefix(_HEADER_PREFIX).decode(errors="replace"): _decode(value)
        for name, value in headers.items()
        if name.startswith(_HEADER_PREFIX)
    }


def canonicalise_cloudevent(sent: dict[str, Any]) -> CanonicalEvent:
    """Put the attributes of a CloudEvent under the canonical names of an event.

    The last dot segment of `type` names the event. The user is the extension `userid`,
    else `subject`; the account is the extension `groupid`. All other attributes are
    kept as unknown fields.

    Args:
        sent: the decoded CloudEvent; not modified.
    """
    event = CanonicalEvent({}, {}, {}, [], is_cloudevent=True)
    name_of_type = sent.get("type")
    if isinstance(name_of_type, str):
        name_of_type = name_of_type.rpartition(".")[2]
    user = "userid" if sent.get("userid") is not None else "subject"
    for field, name, value in (
        ("event", "type", name_of_type),
        ("user_id", user, sent.get(user)),
        ("group_id", "groupid", sent.get("groupid")),
        ("timestamp", "time", sent.get("time")),
        ("message_id", "id", sent.get("id")),
        ("properties", "data", sent.get("data")),
    ):
        if value is not None:
            event.fields[field] = value
        event.names[field] = name
    event.errors += _check_attributes(sent)
    event.extra.update(
        (name, value)
        for name, value in sent.items()
        if value is not None and name not in _READ and name not in {user, "groupid"}
    )
    return event


def _check_attributes(sent: dict[str, Any]) -> list[Issue]:
    errors = []
    for name in _REQUIRED:
        value = sent.get(name)
        if value is None or value == "":
            message = "A CloudEvent requires this attribute."
            errors.append(Issue(ErrorCode.MISSING_FIELD, name, message))
        elif name == "source" and not isinstance(value, str):
            errors.append(Issue(ErrorCode.INVALID_TYPE, name, "This must be text."))
    if sent["specversion"] != _VERSION:
        message = f"Only CloudEvents {_VERSION} are accepted."
        errors.append(Issue(ErrorCode.INVALID_TYPE, "specversion", message))
    return errors


def _decode(value: bytes) -> str:
    """The text of a header: UTF-8 and percent-encoded, as the HTTP binding says."""
    return unquote(value.decode(errors="surrogateescape"))

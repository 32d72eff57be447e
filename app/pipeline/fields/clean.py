"""Cleaning: the values of an event as they can be validated and stored."""

from typing import Any

from app.pipeline.fields.canonical import CanonicalEvent
from app.pipeline.fields.corrections import Corrections
from app.pipeline.fields.near_miss import meant_by
from app.pipeline.fields.placeholders import is_placeholder
from app.pipeline.fields.sanitize import (
    MAX_WARNINGS,
    Sanitizer,
    is_storable,
    replace_unstorable,
    shown_key,
)
from app.pipeline.issues import ErrorCode, Issue, WarningCode

_IDS = ("user_id", "group_id", "message_id")
_OBJECTS = ("properties", "context")


def warn_of_unknown(event: CanonicalEvent) -> list[Issue]:
    """A warning for each unknown field, up to a limit."""
    warnings: list[Issue] = []
    extra = event.extra
    if not extra or event.is_cloudevent:  # which may have any attribute
        return warnings
    for number, key in enumerate(extra, 1):
        path, message = shown_key(key), "This is not a field of an event."
        meant = meant_by(path)
        if meant is not None:
            message += f" Send it as `{meant}` if that is meant."
        if number == MAX_WARNINGS < len(extra):
            message += " No further field is listed."
        warnings.append(Issue(WarningCode.UNKNOWN_FIELD, path, message))
        if number == MAX_WARNINGS:
            break
    return warnings


def clean(
    event: CanonicalEvent, corrections: Corrections, *, plain: bool
) -> tuple[CanonicalEvent, Sanitizer]:
    """The event with values that can be validated and stored, and the repairs.

    Args:
        event: with values as sent; not modified.
        corrections: may accept placeholders.
        plain: whether all values can be stored as they are.
    """
    sanitizer = Sanitizer()
    fields, extra = dict(event.fields), event.extra
    if not plain:
        for name, value in event.fields.items():
            cleaned = _clean_field(name, value, event.names[name], sanitizer)
            fields[name] = cleaned
            if cleaned is None:
                del fields[name]
        extra = sanitizer.clean(extra, "")
    for name in _IDS:
        if name in fields:
            _read_id(name, fields, event.names[name], sanitizer, corrections)
    _read_empty_arrays(fields, event.names, sanitizer)
    cleaned_event = CanonicalEvent(
        fields, event.names, extra, [], is_cloudevent=event.is_cloudevent
    )
    return cleaned_event, sanitizer


def _read_empty_arrays(
    fields: dict[str, Any], names: dict[str, str], sanitizer: Sanitizer
) -> None:
    """Read an empty array as an empty object, as PHP encodes one."""
    for name in _OBJECTS:
        if fields.get(name) == []:
            fields[name] = {}
            sanitizer.warn(
                WarningCode.EMPTY_ARRAY_AS_OBJECT,
                names[name],
                "The empty array was read as an empty object.",
            )


def _clean_field(name: str, value: Any, path: str, sanitizer: Sanitizer) -> Any:
    """The value as it can be stored. Ids are not repaired: two could become one."""
    if name not in _IDS or not isinstance(value, str) or is_storable(value):
        return sanitizer.clean(value, path)
    sanitizer.errors.append(
        Issue(
            ErrorCode.INVALID_CHARACTER,
            path,
            "An id must contain neither NUL nor a lone surrogate.",
        )
    )
    return replace_unstorable(value)


def _read_id(
    name: str,
    fields: dict[str, Any],
    path: str,
    sanitizer: Sanitizer,
    corrections: Corrections,
) -> None:
    """Make an integer text, and refuse a placeholder."""
    value = fields[name]
    if type(value) is int:
        fields[name] = str(value)
        sanitizer.warn(
            WarningCode.COERCED_TO_TEXT,
            path,
            "An id is text: the integer was read as its decimal text.",
        )
    elif not isinstance(value, str) or not is_placeholder(value):
        return
    elif name == "message_id":
        del fields[name]
        sanitizer.warn(
            WarningCode.PLACEHOLDER_IGNORED,
            path,
            "This is a placeholder: the event was read without a message id.",
        )
    elif corrections.accepts_placeholders:
        sanitizer.warn(
            WarningCode.CORRECTED_BY_OPERATOR,
            path,
            "An operator accepted this placeholder when replaying the event.",
        )
    else:
        sanitizer.errors.append(
            Issue(
                ErrorCode.PLACEHOLDER_ID,
                path,
                "This is a placeholder that programs write where there is no value. "
                "Send the real id.",
            )
        )

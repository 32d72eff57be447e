"""Validation of one event against the model of its type."""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from app.events.catalog import Catalog
from app.events.envelope import MAX_TEXT
from app.events.event_type import EventType
from app.events.property_types import INVALID_TIMESTAMP
from app.pipeline.body_shapes import explain_list
from app.pipeline.fields.canonical import CanonicalEvent
from app.pipeline.fields.near_miss import find_near_miss
from app.pipeline.issues import ErrorCode, Issue, WarningCode

_MAX_LISTED = 10
# A name as SDKs of the Segment family write it, such as `Order Completed`.
_TITLE = re.compile(r"[A-Z][A-Za-z0-9]*(?: [A-Z0-9][A-Za-z0-9]*)*")
_EXPECTED = {
    "event": "text",
    "user_id": "text or an integer",
    "group_id": "text or an integer",
    "message_id": "text or an integer",
    "context": "an object",
}
# Code and message for each type of error that Pydantic or a declared type reports.
_MESSAGES = {
    "string_too_short": (
        ErrorCode.TOO_SHORT,
        "At least {min_length} characters are needed.",
    ),
    "string_too_long": (
        ErrorCode.TOO_LONG,
        "At most {max_length} characters are accepted.",
    ),
    "too_short": (ErrorCode.TOO_SHORT, "At least {min_length} items are needed."),
    "too_long": (ErrorCode.TOO_LONG, "At most {max_length} items are accepted."),
    "string_pattern_mismatch": (
        ErrorCode.INVALID_EMAIL,
        "An email has one @ and no white space or invisible characters.",
    ),
    "dict_type": (ErrorCode.INVALID_TYPE, "This must be an object."),
    "greater_than_equal": (
        ErrorCode.VALUE_OUT_OF_RANGE,
        "This must be at least {ge}.",
    ),
    "less_than_equal": (ErrorCode.VALUE_OUT_OF_RANGE, "This must be at most {le}."),
    "literal_error": (ErrorCode.VALUE_NOT_ALLOWED, "This must be {noun}."),
    INVALID_TIMESTAMP: (
        ErrorCode.INVALID_TIMESTAMP,
        "Send RFC 3339 with an offset, such as 2023-11-02T00:30:08.276Z.",
    ),
}


def validate(
    canonical: CanonicalEvent, catalog: Catalog, *, sent: dict[str, Any]
) -> tuple[str, list[Issue], list[Issue]]:
    """Validate an event against the model of its type.

    Args:
        canonical: the event with cleaned values; its ids are text.
        catalog: the known event types.
        sent: the event as decoded, to search for near misses.

    Returns:
        The event's name as it is stored; the reasons to reject the event; assumptions
        and missing recommended properties.
    """
    fields = canonical.fields
    warnings: list[Issue] = []
    errors: list[Issue] = []
    name = fields.get("event")
    name = name if isinstance(name, str) else ""
    event_type = catalog.find(name)
    if event_type is None and isinstance(fields.get("event"), str):
        path = canonical.names["event"]
        known_name = find_name(name, path, catalog, warnings)
        if known_name is None:
            errors.append(_unknown(name, path, catalog))
        elif known_name != name:
            fields = {**fields, "event": known_name}
            name = known_name
        event_type = catalog.find(name)
    try:
        catalog.validator(name)(fields)
    except ValidationError as error:
        nouns = event_type.nouns if event_type is not None else {}
        details = error.errors(include_url=False)
        errors += _explain(details, canonical, nouns, sent)
    properties = fields.get("properties")
    if event_type is not None and isinstance(properties, dict):
        place = canonical.names["properties"]
        absent, unrecommended = check_presence(event_type, properties, place, sent)
        errors += absent
        warnings += unrecommended
    return name, errors, warnings


def missing_field(
    sent: dict[str, Any], name: str, path: str, others: tuple[str, ...] = ()
) -> Issue:
    """The error for a required field that is absent, with its near miss.

    Args:
        sent: the event as decoded.
        name: the canonical name of the field, or the name of the property.
        path: the place where the field is expected.
        others: further names of the property.
    """
    in_place = " or ".join(f"`{other}`" for other in others)
    message = f"This is required{f' (or {in_place} in its place)' if others else ''}."
    near = find_near_miss(sent, name, others)
    a_list = explain_list(sent) if name == "event" else None
    if a_list is not None:
        message += f" {a_list}"
    elif near is not None:
        message += f" The event has `{near}`: if that is meant, send it as `{path}`."
    return Issue(ErrorCode.MISSING_FIELD, path, message)


def find_name(
    sent: str, path: str, catalog: Catalog, warnings: list[Issue]
) -> str | None:
    """The name by which an event of a name that is not in the catalog is stored.

    Args:
        sent: the name.
        path: where it was sent.
        catalog: the known event types.
        warnings: gets those about the name.
    """
    known = catalog.name_of_title(sent)
    name = known
    if known is None and catalog.accepts_undeclared:
        if _TITLE.fullmatch(sent):
            name = sent.lower().replace(" ", "_")
        elif 1 <= len(sent) <= MAX_TEXT:
            name = sent
    if name is None:
        return None
    if name != sent:
        message = f"Read as `{name}`."
        warnings.append(Issue(WarningCode.EVENT_NAME_FOLDED, path, message))
    if catalog.find(name) is None:
        message = "This event is not declared; only its envelope was validated."
        warnings.append(Issue(WarningCode.UNDECLARED_EVENT, path, message))
    return name


def _unknown(name: str, path: str, catalog: Catalog) -> Issue:
    nearest = catalog.nearest_name(name)
    meant = f" The nearest known event is `{nearest}`." if nearest else ""
    known = ", ".join(f"`{known}`" for known in islice(catalog, _MAX_LISTED))
    more = len(catalog) - _MAX_LISTED
    others = f" and {more} others, which GET /schemas lists" if more > 0 else ""
    return Issue(
        ErrorCode.UNKNOWN_EVENT,
        path,
        f"No event has this name.{meant} Known events are {known}{others}.",
    )


def check_presence(
    event_type: EventType,
    properties: dict[str, Any],
    place: str,
    sent: dict[str, Any],
) -> tuple[list[Issue], list[Issue]]:
    """Errors for required properties that are absent, and warnings for recommended."""
    errors, warnings = [], []
    for names in event_type.require_one_of:
        for name in names:
            if properties.get(name) is not None:
                break
        else:
            path = f"{place}.{names[0]}"
            errors.append(missing_field(sent, names[0], path, names[1:]))
    for name in event_type.recommended if event_type.warns_about_missing else ():
        if properties.get(name) is None:
            path, message = f"{place}.{name}", "This property is recommended."
            warnings.append(Issue(WarningCode.MISSING_RECOMMENDED, path, message))
    return errors, warnings


def _explain(
    details: list[ErrorDetails],
    canonical: CanonicalEvent,
    nouns: Mapping[str, str],
    sent: dict[str, Any],
) -> list[Issue]:
    """One error for each place: a union reports one for each of its members."""
    errors: dict[str, Issue] = {}
    for detail in details:
        steps = [str(step) for step in detail["loc"]]
        if steps[0] == "timestamp":
            continue  # the timestamp is parsed after validation
        if len(steps) > 1 and steps[0] == "properties":
            path = _property_path(detail, canonical.names["properties"])
            noun = nouns.get(steps[1], "text")
        else:
            path = canonical.names.get(steps[0], steps[0])
            noun = _EXPECTED.get(steps[0], "text")
        if path in errors:
            continue
        if detail["type"] == "missing":
            errors[path] = missing_field(sent, steps[-1], path)
        else:
            code, message = _describe(detail, noun)
            errors[path] = Issue(code, path, message)
    return list(errors.values())


def _property_path(detail: ErrorDetails, place: str) -> str:
    """Path of a property, or of the item of a list in it."""
    _, name, *rest = detail["loc"]
    path = f"{place}.{name}"
    return f"{path}[{rest[0]}]" if rest and isinstance(rest[0], int) else path


def _describe(detail: ErrorDetails, noun: str) -> tuple[ErrorCode, str]:
    """Code and message of one error of Pydantic.

    Args:
        detail: the error.
        noun: the expected type, such as `an integer`.
    """
    described = _MESSAGES.get(detail["type"])
    if described is None:
        return ErrorCode.INVALID_TYPE, f"This must be {noun}."
    code, message = described
    if detail["type"] == "string_too_short" and detail["ctx"]["min_length"] == 1:
        message = "This must not be empty."
    return code, message.format(noun=noun, **detail.get("ctx", {}))

"""Validation of one event against the model of its type."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from app.events.catalog import Catalog
from app.events.envelope import CanonicalEvent
from app.events.event_type import EventType
from app.events.property_types import INVALID_TIMESTAMP
from app.pipeline.issues import Issue

_EXPECTED = {
    "event": "text",
    "user_id": "text or an integer",
    "group_id": "text or an integer",
    "message_id": "text",
    "context": "an object",
}
# Code and message for each type of error that Pydantic or a declared type reports.
_MESSAGES = {
    "missing": ("missing_field", "This is required."),
    "string_too_short": ("too_short", "At least {min_length} characters are needed."),
    "string_too_long": ("too_long", "At most {max_length} characters are taken."),
    "too_short": ("too_short", "At least {min_length} items are needed."),
    "too_long": ("too_long", "At most {max_length} items are taken."),
    "string_pattern_mismatch": (
        "invalid_email",
        "An email is one @ with something on both sides and no white space.",
    ),
    "model_type": ("invalid_type", "This must be an object."),
    "greater_than_equal": ("value_out_of_range", "This must be at least {ge}."),
    "less_than_equal": ("value_out_of_range", "This must be at most {le}."),
    "literal_error": ("value_not_allowed", "This must be {noun}."),
    INVALID_TIMESTAMP: (
        "invalid_timestamp",
        "Send RFC 3339 with an offset, such as 2023-11-02T00:30:08.276Z.",
    ),
}


class ValidationResult(NamedTuple):
    """Result of the validation of one event.

    Attributes:
        name: the event's name as it is stored.
        errors: reasons to reject the event.
        warnings: assumptions and missing recommended properties.
    """

    name: str
    errors: list[Issue]
    warnings: list[Issue]


def validate(canonical: CanonicalEvent, catalog: Catalog) -> ValidationResult:
    """Validate an event against the model of its type.

    Args:
        canonical: the event with cleaned values; user and group id are text.
        catalog: the known event types.
    """
    sent_name = canonical.fields.get("event")
    fields = canonical.fields
    warnings: list[Issue] = []
    errors: list[Issue] = []
    name = sent_name if isinstance(sent_name, str) else ""
    event_type = catalog.get(name)
    if event_type is None and isinstance(sent_name, str):
        known_name = catalog.name_of_title(name)
        if known_name is None:
            errors.append(_unknown(name, canonical.names["event"], catalog))
        else:
            name, event_type = known_name, catalog[known_name]
            fields = {**fields, "event": name}
            warnings.append(
                Issue(
                    "event_name_folded", canonical.names["event"], f"Read as `{name}`."
                )
            )
    try:
        catalog.validator(name)(fields)
    except ValidationError as error:
        nouns = event_type.nouns if event_type is not None else {}
        errors += _explain(error.errors(include_url=False), canonical, nouns)
    properties = fields.get("properties")
    if event_type is not None and isinstance(properties, dict):
        errors += _check_required_groups(event_type, properties)
        warnings += _check_recommended(event_type, properties)
    return ValidationResult(name, errors, warnings)


def _unknown(name: str, path: str, catalog: Catalog) -> Issue:
    known = ", ".join(f"`{known}`" for known in catalog)
    return Issue(
        "unknown_event",
        path,
        f"No such event. The nearest known one is `{catalog.nearest_name(name)}`; "
        f"known are {known}.",
    )


def _check_required_groups(
    event_type: EventType, properties: dict[str, Any]
) -> list[Issue]:
    errors = []
    for names in event_type.require_one_of:
        for name in names:
            if properties.get(name) is not None:
                break
        else:
            others = " or ".join(f"`{name}`" for name in names[1:])
            in_place = f" (or {others} in its place)" if others else ""
            errors.append(
                Issue(
                    "missing_field",
                    f"properties.{names[0]}",
                    f"This is required{in_place}.",
                )
            )
    return errors


def _check_recommended(
    event_type: EventType, properties: dict[str, Any]
) -> list[Issue]:
    if not event_type.warns_about_missing:
        return []
    return [
        Issue(
            "missing_recommended",
            f"properties.{name}",
            "The event is stored; with this it would say more.",
        )
        for name in event_type.recommended
        if properties.get(name) is None
    ]


def _explain(
    details: list[ErrorDetails], canonical: CanonicalEvent, nouns: Mapping[str, str]
) -> list[Issue]:
    """One error for each place: a union reports one for each of its members."""
    errors: dict[str, Issue] = {}
    for detail in details:
        steps = [str(step) for step in detail["loc"]]
        if steps[0] == "timestamp" and detail["type"] != "missing":
            continue  # reported by parse_timestamp, which knows what was expected
        if len(steps) > 1 and steps[0] == "properties":
            path, noun = f"properties.{steps[1]}", nouns.get(steps[1], "text")
        else:
            path = canonical.names.get(steps[0], steps[0])
            noun = _EXPECTED.get(steps[0], "text")
        code, message = _describe(detail, noun)
        errors.setdefault(path, Issue(code, path, message))
    return list(errors.values())


def _describe(detail: ErrorDetails, noun: str) -> tuple[str, str]:
    """Code and message of one error of Pydantic.

    Args:
        detail: the error.
        noun: the expected type, such as `an integer`.
    """
    described = _MESSAGES.get(detail["type"])
    if described is None:
        return "invalid_type", f"This must be {noun}."
    code, message = described
    if detail["type"] == "string_too_short" and detail["ctx"]["min_length"] == 1:
        message = "This must not be empty."
    return code, message.format(noun=noun, **detail.get("ctx", {}))

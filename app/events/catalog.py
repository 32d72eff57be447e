"""The events that Rollcall knows. A new one is a file beside this one and a line here.

Each entry names the model that validates it, the names of which one must be present,
and what an event is the poorer without.
"""

from difflib import get_close_matches
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from app.events.account_added_user import AccountAddedUser
from app.events.envelope import CanonicalEvent, Envelope
from app.events.signed_up import SignedUp
from app.pipeline.issues import Issue


class Kind(NamedTuple):
    """One kind of event.

    Attributes:
        model: validates it, under canonical names.
        one_of: property names, at least one of which must be present.
        recommended: properties whose absence is a warning.
    """

    model: type[Envelope]
    one_of: tuple[str, ...]
    recommended: tuple[str, ...]


CATALOG: dict[str, Kind] = {
    "signed_up": Kind(SignedUp, ("email", "user_email"), ("name",)),
    "account_added_user": Kind(
        AccountAddedUser, ("user_role", "role"), ("user_name", "user_email")
    ),
}

# Names as some SDKs write them, each with the name that it stands for.
TITLES = {name.replace("_", " ").title(): name for name in CATALOG}
# What is not known is held against the envelope alone, so that all is said at once.
_UNKNOWN = Kind(Envelope, (), ())
_LONGEST_NAME = 64

_EXPECTED = {
    "event": "text",
    "user_id": "text or an integer",
    "group_id": "text or an integer",
    "message_id": "text",
    "context": "an object",
}


class Checked(NamedTuple):
    """What validation says of an event."""

    name: str
    errors: list[Issue]
    warnings: list[Issue]


def check(folded: CanonicalEvent) -> Checked:
    """Hold an event against the model of its kind.

    Args:
        folded: properties and context already mended; user and group id as text.
    """
    sent_name = folded.fields.get("event")
    warnings: list[Issue] = []
    errors: list[Issue] = []
    name = sent_name if isinstance(sent_name, str) else ""
    if name in TITLES:
        name = TITLES[name]
        warnings.append(
            Issue("event_name_folded", folded.names["event"], f"Read as `{name}`.")
        )
    kind = CATALOG.get(name)
    if kind is None:
        if isinstance(sent_name, str):
            errors.append(_unknown(name, folded.names["event"]))
        kind = _UNKNOWN
    try:
        kind.model.__pydantic_validator__.validate_python(
            {**folded.fields, "event": name} if warnings else folded.fields
        )
    except ValidationError as error:
        errors += _explain(error.errors(include_url=False), folded)
    properties = folded.fields.get("properties")
    if isinstance(properties, dict):
        errors += _one_of(kind.one_of, properties)
        warnings += [
            Issue(
                "missing_recommended",
                f"properties.{key}",
                "The event is stored; with this it would say more.",
            )
            for key in kind.recommended
            if properties.get(key) is None
        ]
    return Checked(name, errors, warnings)


def _unknown(name: str, path: str) -> Issue:
    folded = name[:_LONGEST_NAME].strip().lower().replace(" ", "_").replace("-", "_")
    near = get_close_matches(folded, CATALOG, n=1, cutoff=0.0)[0]
    known = ", ".join(f"`{known}`" for known in CATALOG)
    return Issue(
        "unknown_event",
        path,
        f"No such event. The nearest known one is `{near}`; known are {known}.",
    )


def _one_of(names: tuple[str, ...], properties: dict[str, Any]) -> list[Issue]:
    for name in names:
        if properties.get(name) is not None:
            return []
    if not names:
        return []
    others = " or ".join(f"`{name}`" for name in names[1:])
    return [
        Issue(
            "missing_field",
            f"properties.{names[0]}",
            f"This is required (or {others} in its place).",
        )
    ]


def _explain(details: list[ErrorDetails], folded: CanonicalEvent) -> list[Issue]:
    """One remark for each place: a union complains once for each of its members."""
    issues: dict[str, Issue] = {}
    for detail in details:
        steps = [str(step) for step in detail["loc"]]
        if steps[0] == "timestamp" and detail["type"] != "missing":
            continue  # told by parse_timestamp, which knows what was expected
        if len(steps) > 1 and steps[0] == "properties":
            path = expected = f"properties.{steps[1]}"
        else:
            path, expected = folded.names.get(steps[0], steps[0]), steps[0]
        code, message = _say(detail, _EXPECTED.get(expected, "text"))
        issues.setdefault(path, Issue(code, path, message))
    return list(issues.values())


def _say(detail: ErrorDetails, expected: str) -> tuple[str, str]:
    limits = detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            return "missing_field", "This is required."
        case "string_too_short":
            return "too_short", "This must not be empty."
        case "string_too_long":
            return "too_long", f"At most {limits['max_length']} characters are taken."
        case "string_pattern_mismatch":
            return (
                "invalid_email",
                "An email is one @ with something on both sides and no white space.",
            )
        case "model_type":
            return "invalid_type", "This must be an object."
        case _:
            return "invalid_type", f"This must be {expected}."

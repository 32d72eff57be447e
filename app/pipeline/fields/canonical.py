"""Canonical names: each field of an event under one name, whatever name was sent."""

from dataclasses import dataclass, field
from typing import Any

from app.events.envelope import (
    FIELD_NAMES,
    GROUP_NAMES,
    IDEMPOTENCY_HEADER,
    SDK_FIELDS,
    SDK_TIMESTAMP_NAME,
)
from app.pipeline.issues import ErrorCode, Issue

_GROUP_NAMES = frozenset(GROUP_NAMES)
_FIELD_OF = {name: field for field, names in FIELD_NAMES.items() for name in names}
_MAX_SHAPES = 1_000
# The sent name of each field, by the keys of an event, which nearly all events of a
# sender share; empty if all are canonical. Holds known names only, and a bounded number
# of their combinations.
_SHAPES: dict[tuple[str, ...], dict[str, str]] = {}


@dataclass(slots=True)
class CanonicalEvent:
    """An event whose fields have their canonical names, with values as sent.

    Attributes:
        fields: the value of each field that is present; null counts as absence.
        names: the name of each field as the sender wrote it; it may be shared with
            other events.
        extra: the fields that are neither the envelope's nor known from SDKs.
        errors: fields with two names and different values.
        is_cloudevent: whether the fields are the attributes of a CloudEvent.
    """

    fields: dict[str, Any]
    names: dict[str, str]
    extra: dict[str, Any]
    errors: list[Issue] = field(default_factory=list)
    is_cloudevent: bool = False

    def set_once(self, canonical: str, value: Any, name: str) -> None:
        """Set a field, unless an earlier name did: then the values must be equal.

        Equal means equal in JSON: 1, 1.0 and true are three values.
        """
        if canonical not in self.fields:
            self.fields[canonical] = value
            self.names[canonical] = name
            return
        first = self.fields[canonical]
        if value != first or type(value) is not type(first):
            self.errors.append(
                Issue(
                    ErrorCode.CONFLICTING_FIELDS,
                    name,
                    f"`{self.names[canonical]}` and `{name}` name the same "
                    "field but differ; send one of them, or the same value.",
                )
            )


def canonicalise(
    sent: dict[str, Any], *, idempotency_key: str | None = None
) -> CanonicalEvent:
    """Put the fields of an event under their canonical names.

    Args:
        sent: the decoded event; not modified.
        idempotency_key: the header, where the body was this one object.
    """
    fields: dict[str, Any] = {}
    names: dict[str, str] = {}
    extra: dict[str, Any] = {}
    event = CanonicalEvent(fields, names, extra, [])
    _read_group(sent.get("context"), event)
    several: list[str] = []
    for name, value in sent.items():
        if value is None:
            continue
        canonical = _FIELD_OF.get(name)
        if canonical is None:
            if name not in SDK_FIELDS:
                extra[name] = value
        elif canonical in fields:
            several.append(canonical)
        else:
            fields[canonical] = value
            names[canonical] = name
    for canonical in dict.fromkeys(several):
        _read_in_order(canonical, sent, event)
    if idempotency_key is not None and "message_id" not in fields:
        fields["message_id"] = idempotency_key
        names["message_id"] = IDEMPOTENCY_HEADER
    _list_group_last(event)
    return event


def fields_by_shape(sent: dict[str, Any]) -> dict[str, Any] | None:
    """The fields of an event by their canonical names, null ones included.

    None for an event with an unknown field, or with two values for one field.
    """
    names = _SHAPES.get(tuple(sent))
    if names is None:
        names = _find_shape(sent)
        if names is None:
            return None
    if names:
        fields = {field: sent[name] for field, name in names.items()}
    else:
        fields = sent.copy()
    context = fields.get("context")
    if type(context) is not dict or _GROUP_NAMES.isdisjoint(context):
        return fields
    group_id, other = context.get("group_id"), context.get("groupId")
    if (group_id is None) == (other is None):
        return None
    if fields.pop("group_id", None) is not None:
        return None
    fields["group_id"] = other if group_id is None else group_id
    return fields


def _find_shape(sent: dict[str, Any]) -> dict[str, str] | None:
    names: dict[str, str] = {}
    for name in sent:
        field_name = _FIELD_OF.get(name)
        if field_name in names or (field_name is None and name not in SDK_FIELDS):
            return None
        if field_name is not None:
            names[field_name] = name
    if not names:
        return None
    shape = {} if names.keys() == sent.keys() else names
    if len(_SHAPES) < _MAX_SHAPES:
        _SHAPES[tuple(sent)] = shape
    return shape


def _read_group(context: Any, event: CanonicalEvent) -> None:
    if type(context) is not dict:
        return
    for name in GROUP_NAMES:
        value = context.get(name)
        if value is not None:
            event.set_once("group_id", value, "context." + name)


def _list_group_last(event: CanonicalEvent) -> None:
    """Move the group id of the context, which was read first, behind all fields."""
    if event.names.get("group_id", "").startswith("context."):
        event.fields["group_id"] = event.fields.pop("group_id")


def _read_in_order(canonical: str, sent: dict[str, Any], event: CanonicalEvent) -> None:
    """Read a field that has several names: the first decides, the others must agree."""
    if canonical != "group_id" or not event.names[canonical].startswith("context."):
        del event.fields[canonical]
    for name in FIELD_NAMES[canonical]:
        value = sent.get(name)
        if value is not None and not (
            name == SDK_TIMESTAMP_NAME and canonical in event.fields
        ):
            event.set_once(canonical, value, name)

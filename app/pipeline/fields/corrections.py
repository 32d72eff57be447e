"""Corrections that an operator makes when a rejected event is replayed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.events.envelope import FIELD_NAMES, GROUP_NAMES
from app.pipeline.issues import Issue, WarningCode

_OBJECTS = ("properties", "context")


@dataclass(frozen=True, slots=True)
class Corrections:
    """Changes to an event before it is processed again.

    Attributes:
        fields: new values by canonical path: `user_id`, `group_id`, `event`,
            `timestamp`, `message_id`, `properties.NAME` or `context.NAME`.
        accepts_placeholders: whether a placeholder is taken as a user or group id.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    accepts_placeholders: bool = False

    def apply(self, sent: dict[str, Any]) -> dict[str, Any]:
        """The corrected event; `sent` is not modified.

        Raises:
            ValueError: a path names no field.
        """
        corrected = dict(sent)
        for path, value in self.fields.items():
            _set(corrected, path, value)
        return corrected

    def warnings(self) -> list[Issue]:
        """One warning for each field that was set."""
        return [
            Issue(
                WarningCode.CORRECTED_BY_OPERATOR,
                path,
                "An operator set this field when replaying the event.",
            )
            for path in self.fields
        ]


NO_CORRECTIONS = Corrections()


def is_correctable(path: str) -> bool:
    """Whether a path names a field that a correction can set."""
    place, _, name = path.partition(".")
    return bool(name) if place in _OBJECTS else path in FIELD_NAMES


def _set(event: dict[str, Any], path: str, value: Any) -> None:
    if not is_correctable(path):
        raise ValueError(f"{path} is no field that can be set")
    place, _, name = path.partition(".")
    if name:
        inner = event.get(place)
        event[place] = {**(inner if isinstance(inner, dict) else {}), name: value}
        return
    for other in FIELD_NAMES[path]:
        event.pop(other, None)
    context = event.get("context")
    if path == "group_id" and isinstance(context, dict):
        event["context"] = {
            key: inner for key, inner in context.items() if key not in GROUP_NAMES
        }
    event[path] = value

"""The envelope: what every event carries, under all the names it is sent with."""

from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from app.pipeline.issues import Issue

MAX_TEXT = 255

# Both documents and the SDKs of the Segment family name the same things differently.
EVENT_NAMES = ("event", "event_name")
USER_NAMES = ("user_id", "userId")
GROUP_NAMES = ("group_id", "groupId")
MESSAGE_NAMES = ("message_id", "messageId")
TIMESTAMP_NAMES = ("timestamp",)
SDK_TIMESTAMP_NAMES = ("originalTimestamp",)
IDEMPOTENCY_HEADER = "Idempotency-Key"
# Where fields stand at the top of an event, in the order in which they are read.
_PLACES = tuple(
    (names[0], name)
    for names in (
        EVENT_NAMES,
        USER_NAMES,
        GROUP_NAMES,
        # SDKs set the last to now beside a timestamp of the caller's: no conflict.
        (*TIMESTAMP_NAMES, *SDK_TIMESTAMP_NAMES),
        MESSAGE_NAMES,
        ("properties",),
        ("context",),
    )
    for name in names
)

ShortText = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
Identifier = Annotated[
    str,
    Field(min_length=1, max_length=MAX_TEXT),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1, "maxLength": MAX_TEXT},
                {"type": "integer"},
            ]
        }
    ),
]


class Properties(BaseModel):
    """Properties of an event; keys that no field names are kept as sent."""

    model_config = ConfigDict(extra="allow", strict=True)


class Envelope(BaseModel):
    """What every event carries, under its canonical names."""

    model_config = ConfigDict(strict=True)

    event: str = Field(description="The name of the event, in snake_case.")
    user_id: Identifier = Field(
        description="The user whom the event is about. Any text: it need not be a "
        "UUID, and is never trimmed. A JSON integer is taken as its decimal text."
    )
    group_id: Identifier | None = Field(
        default=None,
        description="The account that the user belongs to, where it is known. "
        "One in the context is read first.",
    )
    timestamp: str | int | float = Field(
        description="When it happened, not when it is sent: ISO-8601 text, or a number "
        "of epoch seconds (below 1e11) or milliseconds."
    )
    message_id: ShortText | None = Field(
        default=None,
        description="Opaque text that names this event within its user: sending it "
        "again stores nothing twice. The header `Idempotency-Key` stands in for it "
        "where the body is one object.",
    )
    properties: Properties
    context: dict[str, Any] | None = Field(
        default=None, description="Anything else; kept as sent."
    )


@dataclass(slots=True)
class CanonicalEvent:
    """An event whose fields are under their canonical names, values as sent.

    Attributes:
        fields: a value for each field that is present; null is absence.
        names: where each stands in the sender's own words.
        errors: two names with different values.
    """

    fields: dict[str, Any]
    names: dict[str, str]
    errors: list[Issue] = field(default_factory=list)

    def keep(self, canonical: str, value: Any, name: str) -> None:
        """Keep a value, unless an earlier name gave one: that one it must equal.

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
                    "conflicting_fields",
                    name,
                    f"`{self.names[canonical]}` and `{name}` name the same "
                    "field but differ; send one of them, or the same value.",
                )
            )


def fold(sent: dict[str, Any], *, idempotency_key: str | None = None) -> CanonicalEvent:
    """Put an event's fields under their canonical names.

    Args:
        sent: the event as decoded; stays untouched.
        idempotency_key: the header, where the body was this one object.
    """
    folded = CanonicalEvent({}, {})
    _read_group(sent.get("context"), folded)
    fields, names = folded.fields, folded.names
    for canonical, name in _PLACES:
        value = sent.get(name)
        if value is None:
            continue
        if canonical not in fields:
            fields[canonical] = value
            names[canonical] = name
        elif name not in SDK_TIMESTAMP_NAMES:
            folded.keep(canonical, value, name)
    if idempotency_key is not None and "message_id" not in fields:
        fields["message_id"] = idempotency_key
        names["message_id"] = IDEMPOTENCY_HEADER
    return folded


def _read_group(context: Any, folded: CanonicalEvent) -> None:
    if type(context) is not dict:
        return
    for name in GROUP_NAMES:
        value = context.get(name)
        if value is not None:
            folded.keep("group_id", value, "context." + name)

"""The envelope: what every event carries, under all the names it is sent with."""

from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from app.events.remark import Remark

MAX_TEXT = 255

# Both documents and the SDKs of the Segment family name the same things differently.
EVENT_NAMES = ("event", "event_name")
USER_NAMES = ("user_id", "userId")
GROUP_NAMES = ("group_id", "groupId")
MESSAGE_NAMES = ("message_id", "messageId")
TIMESTAMP_NAMES = ("timestamp",)
SDK_TIMESTAMP_NAMES = ("originalTimestamp",)
IDEMPOTENCY_HEADER = "Idempotency-Key"

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
        description="The account. Also read from `context.group_id`.",
    )
    timestamp: str | int | float = Field(
        description="When it happened: ISO-8601 text, or a number of epoch seconds "
        "(below 1e11) or milliseconds."
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
class Folded:
    """An event whose fields are under their canonical names, values as sent.

    Attributes:
        fields: a value for each field that is present; null is absence.
        names: where each stands in the sender's own words.
        errors: two names with different values.
    """

    fields: dict[str, Any]
    names: dict[str, str]
    errors: list[Remark] = field(default_factory=list)

    def take(
        self,
        canonical: str,
        sent: dict[str, Any],
        names: tuple[str, ...],
        *,
        prefix: str = "",
    ) -> None:
        """Keep the first of the names that is present; a second one must equal it.

        Equal means equal in JSON: 1, 1.0 and true are three values.
        """
        for name in names:
            value = sent.get(name)
            if value is None:
                continue
            if canonical not in self.fields:
                self.fields[canonical] = value
                self.names[canonical] = prefix + name
                continue
            first = self.fields[canonical]
            if value != first or type(value) is not type(first):
                self.errors.append(
                    Remark(
                        "conflicting_fields",
                        prefix + name,
                        f"`{self.names[canonical]}` and `{prefix}{name}` name the same "
                        "field but differ; send one of them, or the same value.",
                    )
                )
                return


def fold(sent: dict[str, Any], *, idempotency_key: str | None = None) -> Folded:
    """Put an event's fields under their canonical names.

    Args:
        sent: the event as decoded; stays untouched.
        idempotency_key: the header, where the body was this one object.
    """
    folded = Folded({}, {})
    take = folded.take
    take("event", sent, EVENT_NAMES)
    take("user_id", sent, USER_NAMES)
    context = sent.get("context")
    if type(context) is dict:
        take("group_id", context, GROUP_NAMES, prefix="context.")
    take("group_id", sent, GROUP_NAMES)
    take("timestamp", sent, TIMESTAMP_NAMES)
    if "timestamp" not in folded.fields:
        # SDKs set it to now beside a timestamp of the caller's, so they never conflict.
        take("timestamp", sent, SDK_TIMESTAMP_NAMES)
    take("message_id", sent, MESSAGE_NAMES)
    if idempotency_key is not None and "message_id" not in folded.fields:
        take("message_id", {IDEMPOTENCY_HEADER: idempotency_key}, (IDEMPOTENCY_HEADER,))
    take("properties", sent, ("properties",))
    take("context", sent, ("context",))
    return folded

"""The envelope: the fields of every event, with all names that senders use."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

MAX_TEXT = 255

# SDKs set it to the present time next to the caller's timestamp.
SDK_TIMESTAMP_NAME = "originalTimestamp"
# The names of each field at the top of an event, in the order in which they are read.
# Both documents and the SDKs of the Segment family name the same things differently.
FIELD_NAMES: Mapping[str, tuple[str, ...]] = {
    "event": ("event", "event_name"),
    "user_id": ("user_id", "userId"),
    "group_id": ("group_id", "groupId"),
    "timestamp": ("timestamp", SDK_TIMESTAMP_NAME),
    "message_id": ("message_id", "messageId"),
    "properties": ("properties",),
    "context": ("context",),
}
GROUP_NAMES = FIELD_NAMES["group_id"]
IDEMPOTENCY_HEADER = "Idempotency-Key"
# Further fields that SDKs of the Segment family, June and Jitsu send. Some change with
# each retry, so they do not belong to the content of an event.
SDK_FIELDS = frozenset({
    "type", "sentAt", "sent_at", "receivedAt", "integrations", "channel",
    "anonymousId", "anonymous_id", "traits", "writeKey", "api_key", "version",
    "_metadata", "projectId", "rudderId", "request_ip", "requestIp",
})  # fmt: skip

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
    """The fields of every event, with their canonical names."""

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
    message_id: Identifier | None = Field(
        default=None,
        description="Opaque text that names this event within its user: sending it "
        "again stores nothing twice. The header `Idempotency-Key` stands in for it "
        "where the body is one object.",
    )
    properties: Properties
    context: dict[str, Any] | None = Field(
        default=None, description="Anything else; kept as sent."
    )

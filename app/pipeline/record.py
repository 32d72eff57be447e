"""The record of an event, and the inputs that it is made from."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from app.events.catalog import Catalog, built_in_catalog
from app.pipeline.issues import Issue
from app.pipeline.timestamp import TimestampPolicy


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits and rules of an event, from the settings.

    Attributes:
        timestamps: how they are read and which are taken.
        max_event_bytes: of its compact JSON in UTF-8.
        max_depth: containers inside the event, one within the other.
        catalog: the event types that are accepted.
    """

    timestamps: TimestampPolicy
    max_event_bytes: int = 128 * 1024
    max_depth: int = 64
    catalog: Catalog = field(default_factory=built_in_catalog)


class RequestContext(NamedTuple):
    """Source and time of one request.

    Attributes:
        source: the name of the source that the key belongs to.
        received_at: the time at which the request arrived, aware UTC; fixed once.
        request_id: of this service, as in the response.
        assumes_receipt: whether an event with a message id and without a timestamp
            gets the time of receipt.
        idempotency_key: the header, which names the event of a body that is one object.
    """

    source: str
    received_at: datetime
    request_id: str
    assumes_receipt: bool = False
    idempotency_key: str | None = None


@dataclass(slots=True)
class BodyTraits:
    """Traits that all events of a decoded body share.

    Attributes:
        plain: from `Decoded`.
        deep: whether some event may have more levels than it may have.
        large: whether some event may be larger than it may be.
    """

    plain: bool
    deep: bool
    large: bool


class Record(NamedTuple):
    """An event as it is stored: one row of `events`.

    Attributes:
        id: UUID as text.
        timestamp: aware UTC.
        properties: JSON text.
        context: JSON text.
        warnings: all warnings of the response.
        content_hash: 16 bytes.
        sent: the event as decoded; written out only if it must be quarantined.
        extra: unknown top-level fields, JSON text of an object.
    """

    id: str
    source: str
    event: str
    user_id: str
    group_id: str | None
    timestamp: datetime
    timestamp_raw: str
    received_at: datetime
    message_id: str | None
    properties: str
    context: str
    warnings: tuple[Issue, ...]
    content_hash: bytes
    sent: Any
    request_id: str
    extra: str = "{}"

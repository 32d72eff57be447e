"""What one connection and one request may take; from the settings."""

from dataclasses import dataclass

# Requests that wait on one connection for their turn; few clients send even two.
MAX_PIPELINED = 100


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits of one connection, in seconds of the monotonic clock.

    Attributes:
        head_s: from the first byte of a request, or from the beginning of the
            connection, to the end of the headers.
        body_s: from the end of the headers to the last byte.
        unread_s: for a client to take something of what it is sent.
    """

    head_s: float
    body_s: float
    unread_s: float


@dataclass(frozen=True, slots=True)
class TrackLimits:
    """Limits of one request.

    Attributes:
        max_bytes: of its body, decompressed.
        max_events: in one body.
        max_values: in all of these.
        queue_bytes: of bodies in flight, from the first byte to the commit.
        keyless_bytes: of bodies that are read before it is known who sends.
        database_s: for all waiting on the database.
        max_requests: in flight, from the last byte of their body to their answer.
    """

    max_bytes: int
    max_events: int
    max_values: int
    queue_bytes: int
    keyless_bytes: int
    database_s: float
    max_requests: int

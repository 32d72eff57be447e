"""How long a client may take: to send its headers and its body, and to read."""

from dataclasses import dataclass

from app.http.reader import RequestReader

# A client that reads less than this within the timeout counts as stalled.
_MIN_READ_BYTES = 64 * 1024
# Minimum rate of a body on a connection without a known key: a grace period in seconds,
# then bytes a second.
_BODY_GRACE_S = 2.0
_MIN_BODY_RATE = 64 * 1024


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits of one connection, in seconds of the monotonic clock.

    Attributes:
        header_s: from the first byte of a request, or from the beginning of the
            connection, to the end of the headers.
        body_s: from the end of the headers to the last byte of the body.
        write_s: for a client to read 64 KiB of a pending response.
    """

    header_s: float
    body_s: float
    write_s: float


def limit_of(
    reader: RequestReader,
    limits: ConnectionLimits,
    *,
    keep_alive_s: float,
    has_known_key: bool,
) -> float:
    """Seconds that a client may take for the part that is being read.

    Args:
        reader: of its connection.
        limits: of every connection.
        keep_alive_s: between two requests.
        has_known_key: if not, a body has to arrive at a minimum rate.
    """
    match reader.state:
        case "idle":
            return keep_alive_s
        case "body" if has_known_key:
            return limits.body_s
        case "body":
            at_rate = _BODY_GRACE_S + reader.body_bytes / _MIN_BODY_RATE
            return min(limits.body_s, at_rate)
        case "start" | "head":
            return limits.header_s


class StalledReaderCheck:
    """Detects a client that does not read its response.

    Args:
        limit_s: for a client to read 64 KiB.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._before: tuple[int, float] | None = None

    def is_stuck(self, unsent: int, now: float) -> bool:
        """Whether the client has read too little, by how many bytes are unsent now."""
        if not unsent:
            self._before = None
        elif self._before is None:
            self._before = unsent, now
        else:
            size, since = self._before
            if now - since > self._limit_s:
                self._before = unsent, now
                return unsent > size - _MIN_READ_BYTES
        return False

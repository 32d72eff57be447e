"""How long a client may take: to send its headers and its body, and to read."""

from dataclasses import dataclass

# A client that reads less than this within the timeout counts as stalled.
_MIN_READ_BYTES = 64 * 1024


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

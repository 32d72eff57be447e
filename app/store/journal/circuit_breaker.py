"""The circuit breaker of Postgres: whether a commit is worth waiting for."""

import logging
import time
from datetime import UTC, datetime

from app.logs import fields

log = logging.getLogger(__name__)


class CircuitBreaker:
    """Closed while commits succeed; open from a failed commit to the next success.

    Attributes:
        is_open: whether Postgres is considered unavailable.
        reason: why, as a noun phrase.
        since: time at which it opened; None while it is closed.
    """

    def __init__(self) -> None:
        self.is_open = False
        self.reason = ""
        self.since: datetime | None = None
        self._opened_at = 0.0

    def open(self, reason: str = "no answer in time") -> None:
        """Record that a commit was not confirmed in time, by no fault of its data.

        Args:
            reason: cause, such as `password refused`; a later one replaces it.
        """
        if not self.is_open:
            self._opened_at = time.monotonic()
            self.since = datetime.now(UTC)
        if reason != self.reason:
            log.warning("events go to the journal", extra=fields(reason=reason))
        self.is_open = True
        self.reason = reason

    def close(self) -> None:
        """Record that Postgres commits again."""
        if self.is_open:
            self.is_open = False
            self.reason = ""
            self.since = None
            seconds = round(time.monotonic() - self._opened_at, 3)
            log.warning("events go to Postgres again", extra=fields(seconds=seconds))

"""Whether a commit is worth waiting for, as far as this process knows."""

import logging
import time

from app.logs import fields

log = logging.getLogger(__name__)


class CircuitBreaker:
    """Closed while commits succeed; open from one that did not to one that did.

    Attributes:
        is_open: whether Postgres is taken to be away.
    """

    def __init__(self) -> None:
        self.is_open = False
        self._since = 0.0

    def open(self) -> None:
        """A commit was not confirmed in time, by no fault of its data."""
        if not self.is_open:
            self.is_open = True
            self._since = time.monotonic()
            log.warning("events go to the journal")

    def close(self) -> None:
        """Postgres commits again."""
        if self.is_open:
            self.is_open = False
            seconds = round(time.monotonic() - self._since, 3)
            log.warning("events go to Postgres again", extra=fields(seconds=seconds))

"""Looks at all connections of a worker once a while, and ends those that are too slow.

One look at all of them costs less than a timer for each request.
"""

import asyncio
import logging
from collections.abc import Callable

from app.errors import RequestError
from app.ingest.limits import ConnectionLimits
from app.metrics.catalog import CONNECTIONS, REFUSALS, REQUESTS
from app.metrics.labels import OTHER
from app.metrics.meters import Meters

log = logging.getLogger(__name__)

# In the state that the lifespan hands to each connection.
WATCH = "watch"

Check = Callable[[float], None]

_MAX_PAUSE_S = 1.0
# Of the shortest limit: so much later than at its limit a connection ends at most.
_PAUSE_SHARE = 0.1


# Who takes less than this in the time for it is not reading.
_MIN_READ_BYTES = 64 * 1024


class Watch:
    """Has each connection check itself against its limits.

    Args:
        limits: of each connection.
        meters: count the connections, and what is refused ahead of any door.
    """

    def __init__(self, limits: ConnectionLimits, meters: Meters) -> None:
        self.limits = limits
        self._meters = meters
        self.checks: set[Check] = set()
        # Called when the service stops: whoever answers without an end stops, too.
        self.endings: list[Callable[[], None]] = []
        shortest = min(limits.head_s, limits.body_s, limits.unread_s)
        meters.watch({CONNECTIONS: lambda: len(self.checks)})
        self._pause_s = min(_MAX_PAUSE_S, _PAUSE_SHARE * shortest)

    def count_refusal(self, error: RequestError, *, begun: bool) -> None:
        """Count a request that a connection answers by itself.

        Args:
            error: why.
            begun: whether somebody was at it already, who counts it as unanswered.
        """
        self._meters.add(REFUSALS, error.code)
        if not begun:
            self._meters.add(REQUESTS, OTHER, str(error.status))

    def leave(self) -> None:
        """The service stops: no answer may take for ever any more."""
        for end in self.endings:
            end()

    async def run(self) -> None:
        """Look, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._pause_s)
            now = loop.time()
            for check in tuple(self.checks):
                try:
                    check(now)
                except Exception:
                    # A defect: without this no other would be looked at any more.
                    log.exception("a connection could not be checked")


class Unread:
    """Whether a client takes what it is sent.

    Args:
        limit_s: for as much as anybody takes who reads at all.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._before: tuple[int, float] | None = None

    def is_stuck(self, unsent: int, now: float) -> bool:
        """Judge by how many bytes are unsent now."""
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

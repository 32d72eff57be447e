"""Refuses events ahead of everything else, while the worker is full.

Where more comes in than can be done, what each refusal costs decides how much of the
rest still gets done: so no task, no key and no body is looked at for it.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from app.http.raw_errors import Refusals
from app.ingest.admission import Admission, full
from app.ingest.routes import TrackRoute
from app.logs import fields
from app.metrics.catalog import REFUSALS
from app.metrics.meters import Meters

log = logging.getLogger(__name__)

# In the state that the lifespan hands to each connection.
GATE = "gate"

_PAUSE_S = 1.0


class Gate:
    """What stands before the doors.

    Args:
        admission: knows whether the worker is full.
        routes: what is refused then; everything else is not.
        meters: count what is refused.
    """

    def __init__(
        self, admission: Admission, routes: Iterable[TrackRoute], meters: Meters
    ) -> None:
        self.admission = admission
        self._routes = {
            (route.path + slash).encode(): route.path
            for route in routes
            for slash in ("", "/")
        }
        # What stands for a request that is answered before there is any.
        self.answered: Any = SimpleNamespace(
            response_started=True, response_complete=True, message_event=asyncio.Event()
        )
        self._error = full()
        self._refusals = {
            closing: Refusals(self._error, closing=closing) for closing in (False, True)
        }
        self._meters = meters
        self._refused = 0
        self._told_at = float("-inf")

    def refuse(self, url: bytes, *, closing: bool) -> bytes | None:
        """The answer to a request that finds the worker full; None if not for a door.

        Args:
            url: its path and query.
            closing: whether the connection ends after it.
        """
        route = self._routes.get(url.partition(b"?")[0])
        if route is None:
            return None
        self._count(route)
        return self._refusals[closing].next()

    def _count(self, route: str) -> None:
        self._meters.add(REFUSALS, self._error.code)
        self._meters.count_request(route, self._error.status, 0.0, {})
        self._refused += 1
        now = time.monotonic()
        if now - self._told_at > _PAUSE_S:
            log.warning(
                "more came than can be done", extra=fields(refused=self._refused)
            )
            self._refused, self._told_at = 0, now

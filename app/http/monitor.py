"""Ends connections that are too slow, by one sweep over all of a worker's.

One sweep costs less than a timer for each request.
"""

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Iterable
from heapq import nsmallest
from typing import Protocol

from app.http.head import KnownHeads, UnfinishedHeaders
from app.http.inbox import Inbox
from app.http.rendering import header_lines
from app.http.timeouts import ConnectionLimits
from app.ingest.load.pacer import Pacer
from app.logs import fields
from app.metrics.catalog import (
    CONNECTIONS,
    CONNECTIONS_LIMIT,
    OTHER,
    REFUSALS,
    REQUESTS,
)
from app.metrics.counters import Metrics
from app.request_errors import RequestError

log = logging.getLogger(__name__)

_MAX_PAUSE_S = 1.0
# Sweep interval as a fraction of the shortest limit, so that a connection overruns its
# limit by at most 10 %.
_PAUSE_SHARE = 0.1
# Time that a sweep takes of an iteration of the event loop. A request waits for about
# five iterations, and a thousand late connections take 80 ms.
_SWEEP_S = 0.001
# Rate at which requests of all clients without a known key are read, and the longest
# pause of one connection. Behind a proxy, the next request on the connection may be one
# of a known sender, which must still be answered in time after a commit of a second.
_UNAUTHENTICATED_RATE = 1000.0
_MAX_UNAUTHENTICATED_PAUSE_S = 1.4
# Above the limit, this fraction of the connections is closed at a time.
_CLOSED_PART = 50


class Monitored(Protocol):
    """A connection, as the monitor knows it.

    Attributes:
        has_known_key: whether a request on it was accepted with a known key.
    """

    has_known_key: bool

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way on it."""

    @property
    def idle_since(self) -> float:
        """When its last request ended, on the loop's clock."""

    @property
    def is_unproven(self) -> bool:
        """Whether neither a known key nor a whole request has arrived on it."""

    def evict(self) -> None:
        """End it at once."""

    def check(self, now: float) -> None:
        """End it if its client takes too long."""


class ConnectionMonitor:
    """Has each connection check itself against its limits.

    Args:
        limits: of each connection.
        metrics: count the connections, and the requests that no handler sees.
        max_connections: above it, those that have been idle longest are closed.
        on_stop: called when the service stops; ends responses without an end.

    Attributes:
        limits: of each connection.
        unfinished_headers: of all connections.
        known_heads: those that their clients repeat.
        inbox: spreads arriving bytes over the iterations of the event loop.
        began_at: when `run` began, on the loop's clock.
    """

    began_at = float("-inf")

    def __init__(
        self,
        limits: ConnectionLimits,
        metrics: Metrics,
        *,
        max_connections: int = sys.maxsize,
        on_stop: Iterable[Callable[[], None]] = (),
    ) -> None:
        self.limits = limits
        self._metrics = metrics
        self._on_stop = tuple(on_stop)
        self._max_connections = max_connections
        self._closed = 0
        self._connections: set[Monitored] = set()
        shortest = min(limits.header_s, limits.body_s, limits.write_s)
        self._pause_s = min(_MAX_PAUSE_S, _PAUSE_SHARE * shortest)
        self._refused = 0
        self.unfinished_headers = UnfinishedHeaders()
        self.known_heads = KnownHeads()
        self.inbox = Inbox(lambda call: asyncio.get_running_loop().call_soon(call))
        self._unauthenticated = Pacer(_MAX_UNAUTHENTICATED_PAUSE_S, time.monotonic)
        # The headers of every response as uvicorn has them, and as bytes.
        self._headers: list[tuple[bytes, bytes]] = []
        self._header_lines = b""
        metrics.register_gauges(
            {
                CONNECTIONS: lambda: len(self._connections),
                CONNECTIONS_LIMIT: lambda: max_connections,
            }
        )

    def add(self, connection: Monitored) -> None:
        """Begin to check a connection, and make room for it."""
        self._connections.add(connection)
        if len(self._connections) > self._max_connections:
            self._make_room(connection)

    def _make_room(self, newest: Monitored) -> None:
        """Close connections: those without a known key first, then the oldest idle."""
        idle = [
            each
            for each in self._connections
            if each != newest and (each.is_idle or each.is_unproven)
        ]
        # Several at a time, because each search looks at all of them.
        closed = nsmallest(
            1 + self._max_connections // _CLOSED_PART,
            idle,
            key=lambda each: (each.has_known_key, each.idle_since),
        )
        for connection in closed or [newest]:
            # Its end is reported later, and others may have arrived by then.
            self._connections.discard(connection)
            connection.evict()
        self._closed += len(closed or [newest])

    def remove(self, connection: Monitored) -> None:
        """End that."""
        self._connections.discard(connection)

    def header_lines(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Headers as bytes, made once for each list; uvicorn renews it each second."""
        if headers is not self._headers:
            self._headers = headers
            self._header_lines = header_lines(headers)
        return self._header_lines

    def unauthenticated_pause_s(self) -> float:
        """How long to leave a connection without a known key unread, from now."""
        return self._unauthenticated.pause_s(_UNAUTHENTICATED_RATE)

    def count_refusal(self, error: RequestError, *, begun: bool) -> None:
        """Count a request that a connection answers by itself.

        Args:
            error: why.
            begun: whether a handler had it already, which counts it as unanswered.
        """
        self._refused += 1
        self._metrics.add(REFUSALS, error.code)
        if not begun:
            self._metrics.add(REQUESTS, OTHER, str(error.status))

    def stop(self) -> None:
        """The service stops: end the responses that have no end."""
        for end in self._on_stop:
            end()

    async def run(self) -> None:
        """Sweep until cancelled."""
        loop = asyncio.get_running_loop()
        self.began_at = loop.time()
        while True:
            await asyncio.sleep(self._pause_s)
            await self._sweep(loop.time())

    async def _sweep(self, now: float) -> None:
        began = time.perf_counter()
        for connection in tuple(self._connections):
            # Thousands may be late at the same moment, and to answer one takes time.
            if time.perf_counter() - began > _SWEEP_S:
                await asyncio.sleep(0)
                began = time.perf_counter()
                now = asyncio.get_running_loop().time()
            try:
                connection.check(now)
            except Exception:
                # A defect: without this no other would be checked any more.
                log.exception("connection check failed")
        closed, self._closed = self._closed, 0
        if closed:
            log.warning(
                "connection limit reached: closed idle connections",
                extra=fields(closed=closed, limit=self._max_connections),
            )
        refused, self._refused = self._refused, 0
        if refused:
            log.info("bad requests refused", extra=fields(refused=refused))

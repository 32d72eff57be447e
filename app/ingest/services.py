"""Services shared by all requests that send events."""

import asyncio
import logging
import re
import time
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from app.access.credentials import refused_writer
from app.access.key_cache import KeyCache
from app.access.origin import RequestOrigin
from app.ingest.load.budget import ByteBudget, Permit
from app.ingest.load.scheduler import Scheduler
from app.ingest.load.timeout_queue import TimeoutQueue
from app.logs import RequestLog, fields
from app.metrics.catalog import (
    BYTES_IN_FLIGHT,
    BYTES_IN_FLIGHT_LIMIT,
    REQUESTS_IN_FLIGHT,
    REQUESTS_IN_FLIGHT_LIMIT,
    REQUESTS_WAITING,
)
from app.metrics.counters import Metrics
from app.pipeline.record import Policy
from app.request_errors import UnavailableError
from app.store.shards.lanes import BucketWriters
from app.store.write.writer import Writer

log = logging.getLogger(__name__)

T = TypeVar("T")

# No real key is longer.
_MAX_KEY_BYTES = 128
# Bytes in which a key is looked for before they are parsed, and its form.
_SCAN_BYTES = 4096
_KEY = re.compile(rb"rc_[A-Za-z0-9_-]{1,125}")
# Fraction of the slots for one source while several sources send.
_SHARE_OF_SLOTS = 8
# Time left for the commit after the longest wait for a turn.
_COMMIT_S = 1.0
_LOG_INTERVAL_S = 1.0
# About 3 ms; or a sixteenth of those that wait, so that none waits for long.
_REFUSALS_PER_ITERATION = 32


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class TrackLimits:
    """Limits of one request, and of all of a worker.

    Attributes:
        max_bytes: size of one body, decompressed.
        max_events: events in one body.
        max_values: JSON values in one body.
        inflight_bytes: size of all bodies in flight, from the first byte to the commit.
        unauthenticated_bytes: size of all bodies whose sender is not known yet.
        max_unauthenticated_bytes: size of one such body, decompressed.
        answer_s: time from the last byte of a body to its response.
        slots: slots of all requests that are worked on at a time.
    """

    max_bytes: int
    max_events: int
    max_values: int
    inflight_bytes: int
    unauthenticated_bytes: int
    max_unauthenticated_bytes: int
    answer_s: float
    slots: int


@dataclass(kw_only=True, eq=False)
class IngestServices:
    """The parts that handle requests, and their budgets.

    Attributes:
        key_cache: finds the source of a key.
        writer: commits the entries.
        policy: limits of an event.
        limits: limits of a request.
        metrics: count requests and events.
        requests: the request log.
        clock: the time of receipt, aware UTC.
        origin: reads the client's address and the trace, for the log.
        scheduler: turns of bodies that are complete.
        budget: bytes of bodies from known senders.
        unauthenticated: bytes of other bodies, with a limit of their own, so that they
            cannot keep out known senders.
        deadlines: timeouts of the responses.
    """

    key_cache: KeyCache[str]
    writer: Writer | BucketWriters
    policy: Policy
    limits: TrackLimits
    metrics: Metrics
    requests: RequestLog
    clock: Callable[[], datetime] = _utc_now
    origin: RequestOrigin = field(default_factory=RequestOrigin)

    def __post_init__(self) -> None:
        limits = self.limits
        self.scheduler = Scheduler(
            limits.slots,
            shared_slots=max(1, limits.slots // _SHARE_OF_SLOTS),
            max_wait_s=max(0.0, limits.answer_s - _COMMIT_S),
            call_later=lambda delay_s, call: asyncio.get_running_loop().call_later(
                delay_s, call
            ),
        )
        self.budget = ByteBudget(limits.inflight_bytes)
        self.unauthenticated = ByteBudget(limits.unauthenticated_bytes)
        self.deadlines = TimeoutQueue(limits.answer_s)
        self._unauthenticated_thread = ThreadPoolExecutor(
            1, thread_name_prefix="unauthenticated"
        )
        self._refusals: deque[Callable[[], None]] = deque()
        self._refused = 0
        self._logged_at = float("-inf")
        self._tasks: set[asyncio.Task[None]] = set()
        budgets = (self.budget, self.unauthenticated)
        self.metrics.register_gauges(
            {
                REQUESTS_IN_FLIGHT: lambda: self.scheduler.active,
                REQUESTS_IN_FLIGHT_LIMIT: lambda: self.scheduler.slots,
                REQUESTS_WAITING: lambda: self.scheduler.waiting,
                BYTES_IN_FLIGHT: lambda: sum(each.used for each in budgets),
                BYTES_IN_FLIGHT_LIMIT: lambda: sum(each.limit for each in budgets),
            }
        )

    def cached_source(self, key: bytes) -> str | None:
        """The source of a key from the cache; None if it must be looked up.

        Raises:
            UnauthorizedError: it is not a live write key.
        """
        _refuse_long(key)
        known = self.key_cache.get_cached(key)
        return None if known is None else _owner(known.source, key)

    def last_known_source(self, key: bytes) -> str | None:
        """The source of a key as of its last look-up; None if it was never live."""
        known = self.key_cache.get_cached(key)
        return self.key_cache.last_known(key) if known is None else known.source

    def shows_known_key(self, start: bytes) -> bool:
        """Whether a request seems to carry a known key: a guess, before it is parsed.

        Args:
            start: its first bytes, headers or body.
        """
        found = _KEY.search(start, 0, _SCAN_BYTES)
        return found is not None and self.last_known_source(found[0]) is not None

    def early_permit(self, key: bytes) -> Permit:
        """A permit for the bytes of a request before its key is looked up."""
        known = self.last_known_source(key)
        if known is None:
            return self.unauthenticated.permit("")
        return self.budget.permit(known)

    async def in_thread(self, work: Callable[[], T], *, is_known: bool) -> T:
        """Run CPU-bound work in a thread; senders without a known key share one."""
        executor = None if is_known else self._unauthenticated_thread
        return await asyncio.get_running_loop().run_in_executor(executor, work)

    async def find_source(self, key: bytes) -> str:
        """The source of a key.

        Raises:
            UnauthorizedError: it is not a live write key.
            UnavailableError: nobody could say in time.
        """
        _refuse_long(key)
        try:
            async with asyncio.timeout(self.limits.answer_s):
                source = await self.key_cache.source_of(key)
        except TimeoutError:
            raise UnavailableError("The database did not answer in time.") from None
        return _owner(source, key)

    def refuse_soon(self, refuse: Callable[[], None]) -> None:
        """Refuse a request for load, a part of them in each turn of the event loop.

        A burst of refusals takes as long as the work of the requests that are accepted,
        and must not keep those waiting.
        """
        if not self._refusals:
            asyncio.get_running_loop().call_soon(self._refuse_some)
        self._refusals.append(refuse)

    def _refuse_some(self) -> None:
        call_soon = asyncio.get_running_loop().call_soon
        waiting = len(self._refusals)
        for _ in range(min(waiting, max(_REFUSALS_PER_ITERATION, waiting // 16))):
            call_soon(self._refusals.popleft())
        if self._refusals:
            call_soon(self._refuse_some)

    def note_overload(self) -> None:
        """Log that requests are refused, at most once a second, with their number."""
        self._refused += 1
        now = time.monotonic()
        if now - self._logged_at > _LOG_INTERVAL_S:
            log.warning(
                "overloaded: refusing requests", extra=fields(refused=self._refused)
            )
            self._refused, self._logged_at = 0, now

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run the part of a request that has to wait."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _refuse_long(key: bytes) -> None:
    """Refuse before hashing: a key in a body may be as long as the body."""
    if len(key) > _MAX_KEY_BYTES:
        raise refused_writer(key)


def _owner(source: str | None, key: bytes) -> str:
    if source is None:
        raise refused_writer(key)
    return source

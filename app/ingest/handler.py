"""`/track`: one ASGI endpoint, one straight pipeline, an answer after the commit.

who sends -> what was sent -> decode -> judge each event -> commit -> answer
"""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TypeVar

from app.access.credentials import key_from_body, key_from_headers, refused_writer
from app.access.key_cache import KeyCache
from app.errors import MethodNotAllowedError, UnavailableError
from app.ingest.admission import Admission, Lease
from app.ingest.body import Receive, check_headers, read_body
from app.ingest.counting import count_issues, watch_budgets
from app.ingest.deadline import Patience
from app.ingest.limits import TrackLimits
from app.ingest.request import SOURCE, Scope, first_headers, idempotency_key, is_dry_run
from app.ingest.responses import TrackResponse, build_response
from app.ingest.routes import TrackRoute
from app.ingest.timeout_queue import Alarms
from app.metrics.meters import Meters
from app.pipeline.record import Policy, Record, RequestContext
from app.pipeline.rejection import Rejection
from app.pipeline.unpack import Ignored, process_events, unpack
from app.store.write.insert import Entry, Outcome
from app.store.write.writer import Writer

T = TypeVar("T")

# Larger bodies are decoded and judged in a thread, so that others are answered
# meanwhile; for smaller ones the change of thread costs more than it saves.
_LARGE_BODY = 256 * 1024


class TrackHandler:
    """Takes events in.

    Args:
        key_cache: knows the keys.
        writer: commits.
        policy: what an event may be.
        limits: what a request may be.
        meters: count what becomes of events.
        clock: the time of receipt, aware UTC.
    """

    def __init__(  # noqa: PLR0913 - the parts of the pipeline
        self,
        *,
        key_cache: KeyCache,
        writer: Writer,
        policy: Policy,
        limits: TrackLimits,
        meters: Meters,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._keyring = key_cache
        self._writer = writer
        self.admission = Admission(limits.queue_bytes, limits.max_requests)
        self._policy = policy
        self._limits = limits
        self._meters = meters
        self._clock = clock
        self._alarms = Alarms(limits.database_s)
        # Apart, so that who sends without a key cannot shut out those who have one.
        self._keyless = Admission(limits.keyless_bytes, limits.max_requests)
        watch_budgets(meters, (self.admission, self._keyless))

    async def track(
        self, route: TrackRoute, scope: Scope, receive: Receive, *, request_id: str
    ) -> tuple[TrackResponse, str]:
        """Take in one request.

        Returns:
            The answer, and the name of the source that sent it, which is in the scope
            as soon as it is known.

        Raises:
            RequestError: the request as a whole is refused.
            ClientLeftError: nobody waits for an answer.
        """
        if scope["method"] != "POST":
            raise MethodNotAllowedError("Events are sent by POST.", allow="POST")
        received_at = self._clock()
        headers = first_headers(scope)
        patience = Patience(self._alarms)
        key = key_from_headers(headers)
        source = None if key is None else await self._source_of(key, patience)
        scope[SOURCE] = source
        max_bytes = self._limits.max_bytes
        framing = check_headers(headers, max_bytes=max_bytes, lenient=route.lenient)
        admission = self._keyless if source is None else self.admission
        lease = admission.lease(source or "")
        try:
            body = await read_body(
                receive, framing=framing, max_bytes=max_bytes, lease=lease
            )
            await _turn(lease, body, patience)
            unpacked = await _compute(
                body,
                lambda: unpack(
                    body,
                    policy=self._policy,
                    max_events=self._limits.max_events,
                    max_values=self._limits.max_values,
                    lenient=route.lenient,
                ),
            )
            dry_run = is_dry_run(scope["query_string"])
            if source is None:
                key = key_from_body(unpacked.value)
                scope[SOURCE] = source = await self._source_of(key, patience)
                lease = lease.move_to(self.admission, source)
                await _turn(lease, body, patience)
            request_context = RequestContext(
                source, received_at, request_id, assumes_receipt=route.lenient
            )
            entries = await _compute(
                body,
                lambda: process_events(
                    unpacked,
                    request_context=request_context,
                    policy=self._policy,
                    idempotency_key=idempotency_key(headers),
                    ignores=route.ignores,
                ),
            )
            if dry_run:
                outcomes = [_verdict(entry) for entry in entries]
            else:
                outcomes = await self._commit(entries, lease, patience)
        finally:
            lease.release()
        count_issues(self._meters, entries, outcomes)
        answer = build_response(
            entries,
            outcomes,
            route=route,
            request_id=request_id,
            dry_run=dry_run,
        )
        return answer, source

    async def _source_of(self, key: bytes, patience: Patience) -> str:
        known = self._keyring.get_cached(key)
        if known is None:
            source = await patience.wait(self._keyring.source_of(key))
        else:
            source = known.source
        if source is None:
            raise refused_writer(key)
        return source

    async def _commit(
        self, entries: list[Entry | Ignored], lease: Lease, patience: Patience
    ) -> list[Outcome]:
        events = [entry for entry in entries if not isinstance(entry, Ignored)]
        outcomes: Iterator[Outcome] = iter(())
        if events:
            held = lease.hand_over()
            waiter = _FutureWaiter(held.release)
            try:
                self._writer.submit(events, waiter)
            except UnavailableError:
                held.release()
                raise
            written = await patience.wait(waiter.done)
            if len(written) == len(entries):
                return written
            outcomes = iter(written)
        return [
            Outcome("ignored") if isinstance(entry, Ignored) else next(outcomes)
            for entry in entries
        ]


class _FutureWaiter:
    """Waits for the outcomes of one request as a future.

    Args:
        release: called once the writer is done with the entries.
    """

    def __init__(self, release: Callable[[], None]) -> None:
        self.done: asyncio.Future[list[Outcome]] = (
            asyncio.get_running_loop().create_future()
        )
        self._release = release

    @property
    def is_done(self) -> bool:
        """Whether nobody waits any more."""
        return self.done.done()

    def settled(self, outcomes: list[Outcome] | None) -> None:
        """From the writer."""
        self._release()
        if self.done.done():
            return
        if outcomes is None:
            self.done.set_exception(
                UnavailableError("The database did not confirm in time.")
            )
        else:
            self.done.set_result(outcomes)


async def _turn(lease: Lease, body: bytes, patience: Patience) -> None:
    """Wait until it is this request's turn, where it has to."""
    turn = lease.enter(len(body))
    if turn is not None:
        await patience.wait(turn)


async def _compute(body: bytes, function: Callable[[], T]) -> T:
    """Call a function here; for a large body, in a thread."""
    if len(body) <= _LARGE_BODY:
        return function()
    return await asyncio.to_thread(function)


def _verdict(entry: Entry | Ignored) -> Outcome:
    if isinstance(entry, Rejection):
        return Outcome("rejected", errors=entry.errors)
    return Outcome("valid" if isinstance(entry, Record) else "ignored")

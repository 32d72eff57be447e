"""The stages of one request that sends events.

key -> headers -> body -> turn -> decode -> process each event -> commit -> respond

The first three are in `intake`.

The connection pushes the request in (`feed`, `end`), and the writer reports the
outcomes of its events. Each stage calls the next one. Only a request that has to wait
for a key or for a thread gets a task, which then calls the same stages.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from typing_extensions import override

from app.access.credentials import key_from_body
from app.ingest.counting import count_issues
from app.ingest.intake import RequestIntake
from app.ingest.request import QueryOptions, idempotency_key, read_query
from app.ingest.responses import build_response, dry_run_outcomes, with_ignored
from app.pipeline.cloudevents import binary_attributes
from app.pipeline.outcome import Entry, Outcome
from app.pipeline.record import RequestContext
from app.pipeline.unpack import Ignored, Unpacked, process_events, unpack
from app.request_errors import UnavailableError

T = TypeVar("T")

# Larger bodies are decoded and processed in a thread, so that others are answered
# meanwhile; for smaller ones the change of thread costs more than it saves.
_LARGE_BODY = 256 * 1024
# The same of a sender without a known key, in a thread that all of those share.
_LARGE_STRANGE_BODY = 16 * 1024


class TrackRequest(RequestIntake):
    """One request, from its headers to its response."""

    __slots__ = ("_content", "_entries", "_options")

    # Each is set by the stage that has it first.
    _content: bytes
    _entries: list[Entry | Ignored]
    _options: QueryOptions

    @override
    def _wait_for_turn(self, content: bytes) -> None:
        self._content = content
        enter = self._services.scheduler.enter
        self._ticket = enter(
            self.source or self._guess,
            len(content),
            self._work,
            arrived_at=self._arrived_at,
        )
        if self._ticket.is_active:
            self._work()

    def _work(self) -> None:
        if self._ticket is not None and self._ticket.is_done:
            self.expire()
            return
        is_known = bool(self.source or self._guess)
        if len(self._content) > (_LARGE_BODY if is_known else _LARGE_STRANGE_BODY):
            self._run(self._process_slowly())
        else:
            self._try(self._process_quickly)

    def _process_quickly(self) -> None:
        unpacked = self._unpack()
        if self.source is None:
            source = self._services.cached_source(key_from_body(unpacked.value))
            if source is None:
                self._run(self._process_slowly(unpacked))
                return
            self._identify(source)
        self._submit(self._process(unpacked))

    def _unpack(self) -> Unpacked:
        limits = self._services.limits
        unpacked = unpack(
            self._content,
            policy=self._services.policy,
            max_events=limits.max_events,
            max_values=limits.max_values,
            lenient=self._route.lenient,
            is_ndjson=self._is_ndjson,
            attributes=binary_attributes(self._headers),
        )
        self._options = read_query(self._head.query, lenient=self._route.lenient)
        return unpacked

    def _identify(self, source: str) -> None:
        """The key in the body says who sends: its bytes count there now."""
        self.source = source
        self._client.trust()
        if self._permit is not None:
            self._permit.move(self._services.budget, source)

    def _process(self, unpacked: Unpacked) -> list[Entry | Ignored]:
        return process_events(
            unpacked,
            # By position: by name, a call of a class takes three times as long.
            request_context=RequestContext(
                self.source or "",
                self._received_at,
                self._request_id,
                self._route.lenient,
                idempotency_key(self._headers),
            ),
            policy=self._services.policy,
            ignores=self._route.ignores,
        )

    def _submit(self, entries: list[Entry | Ignored]) -> None:
        self._entries = entries
        events = [entry for entry in entries if not isinstance(entry, Ignored)]
        if self._options.dry_run:
            self._complete(dry_run_outcomes(events))
        elif not events:
            self._complete([])
        else:
            self._services.writer.submit(events, self)
            self._is_submitted = True

    def on_outcomes(self, outcomes: list[Outcome] | None) -> None:
        """From the writer: an outcome for each event; None where it is unknown."""
        if self._permit is not None:
            self._permit.release()
        if self.is_done:
            return
        if outcomes is None:
            self._refuse(UnavailableError("The database did not confirm in time."))
        else:
            self._try(self._complete, outcomes)

    def _complete(self, outcomes: list[Outcome]) -> None:
        entries, outcomes = self._entries, with_ignored(self._entries, outcomes)
        count_issues(self._services.metrics, entries, outcomes)
        response = build_response(
            entries,
            outcomes,
            route=self._route,
            request_id=self._request_id,
            options=self._options,
        )
        self._respond(response)

    # Waiting

    async def _process_slowly(self, unpacked: Unpacked | None = None) -> None:
        is_large = len(self._content) > _LARGE_BODY
        if unpacked is None:
            unpacked = await self._in_thread(self._unpack)
        if self.source is None and not self.is_done:
            self._waits_for_key = True
            key = key_from_body(unpacked.value)
            self._identify(await self._services.find_source(key))
            self._waits_for_key = False
        if self.is_done:
            return
        process = partial(self._process, unpacked)
        entries = await self._in_thread(process) if is_large else process()
        self._try(self._submit, entries)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Run CPU-bound work; the bytes are held until it ends, whatever happens."""
        known = bool(self.source or self._guess)
        self._is_in_thread = True
        try:
            return await self._services.in_thread(work, is_known=known)
        finally:
            self._is_in_thread = False
            if self.is_done:
                self._give_back()

    @override
    def _forget(self) -> None:
        super()._forget()
        self._content = b""
        self._entries = []

"""The stages of one request that sends events.

key -> headers -> body -> turn -> decode -> process each event -> commit -> respond

The connection pushes the request in (`feed`, `end`), and the writer reports when its
events are settled. Each stage calls the next one. Only a request that has to wait for a
key or for a thread gets a task, which then calls the same stages.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from typing_extensions import override

from app.access.credentials import find_body_key, key_from_body, key_from_headers
from app.ingest.body import BodyReader, check_headers
from app.ingest.counting import count_issues
from app.ingest.lifecycle import Client, RequestLifecycle
from app.ingest.request import DEFAULT_OPTIONS, idempotency_key, read_query
from app.ingest.responses import build_response, dry_run_outcomes, with_ignored
from app.ingest.routes import TrackRoute
from app.ingest.services import IngestServices
from app.pipeline.cloudevents import binary_attributes
from app.pipeline.outcome import Entry, Outcome
from app.pipeline.record import RequestContext
from app.pipeline.unpack import Ignored, Unpacked, process_events, unpack
from app.request_errors import MethodNotAllowedError, RequestError, UnavailableError

T = TypeVar("T")

# Larger bodies are decoded and processed in a thread, so that others are answered
# meanwhile; for smaller ones the change of thread costs more than it saves.
_LARGE_BODY = 256 * 1024
# The same of a sender without a known key, in a thread that all of those share.
_LARGE_STRANGE_BODY = 16 * 1024
# How far into a body its key is looked for before it is decoded.
_SCAN_BYTES = 64 * 1024


class TrackRequest(RequestLifecycle):
    """One request, from its headers to its response.

    Args:
        services: shared by all requests.
        route: where it was sent.
        method: of HTTP.
        query: as sent.
        headers: lower-case names; of a repeated one the first.
        request_id: ours.
        client: gets the response.
    """

    __slots__ = (
        "_body",
        "_content",
        "_early",
        "_early_error",
        "_entries",
        "_guess",
        "_headers",
        "_is_ndjson",
        "_method",
        "_options",
        "_query",
        "_received_at",
        "_unread_s",
    )

    def __init__(  # noqa: PLR0913 - the parts of a request
        self,
        services: IngestServices,
        route: TrackRoute,
        *,
        method: str,
        query: bytes,
        headers: dict[bytes, bytes],
        request_id: str,
        client: Client,
    ) -> None:
        super().__init__(services, route, request_id=request_id, client=client)
        self._method = method
        self._query = query
        self._headers = headers
        self._received_at = services.clock()
        self._body: BodyReader | None = None
        # What arrived before it was known who sends.
        self._early = bytearray()
        self._early_error: RequestError | None = None
        # The known source that the body seems to name; "" if it names none.
        self._guess = ""
        self._content = b""
        self._entries: list[Entry | Ignored] = []
        # How long the client's body was left unread: it may have been here already.
        self._unread_s = 0.0
        self._is_ndjson = False
        self._options = DEFAULT_OPTIONS

    def begin(self) -> None:
        """The headers are there."""
        self._try(self._authenticate)

    def feed(self, chunk: bytes) -> None:
        """A part of the body is there."""
        if self.is_done:
            return
        if self._body is None:
            self._keep(chunk)
        else:
            self._try(partial(self._body.feed, chunk))

    def end(self, received_at: float) -> None:
        """The body is complete; the time for the response begins.

        Args:
            received_at: when its last byte arrived, on the loop's clock.
        """
        self._is_received = True
        if not self.is_done:
            self._services.deadlines.add(self, received_at - self._unread_s)
            if self._body is not None:
                self._try(self._wait_for_turn)

    # The stages

    def _keep(self, chunk: bytes) -> None:
        """Keep what arrives before the key is known, unless strangers hold too much."""
        if self._permit is None or self._early_error is not None:
            return
        try:
            self._permit.grow_to_fit(len(self._early) + len(chunk))
            self._early += chunk
        except RequestError as error:
            self._early_error = error  # an unknown key is the reason that comes first
            self._early.clear()
            self._permit.release()

    def _authenticate(self) -> None:
        if self._method != "POST":
            raise MethodNotAllowedError("Events are sent by POST.", allow="POST")
        key = key_from_headers(self._headers)
        if key is None:
            self._admit(None)
            return
        source = self._services.cached_source(key)
        if source is None:
            self._client.hold(held=True)
            self._permit = self._services.early_permit(key)
            self._services.run(self._authenticate_slowly(key))
        else:
            self._admit(source)

    def _admit(self, source: str | None) -> None:
        """Check the headers, and make room for the body."""
        services, limits = self._services, self._services.limits
        self.source = source
        if self._permit is not None:
            self._permit.release()
        max_bytes = limits.max_bytes
        if source is None:
            max_bytes = min(max_bytes, limits.max_unauthenticated_bytes)
        framing = check_headers(
            self._headers,
            max_bytes=max_bytes,
            lenient=self._route.lenient,
            has_key=source is not None,
        )
        if source is None:
            # Announced bytes are not held, because they may never arrive.
            self._permit = services.unauthenticated.permit("")
        else:
            self._client.trust()
            services.scheduler.check(source)
            self._permit = services.budget.permit(source)
            self._permit.grow(framing.length)
        self._is_ndjson = framing.is_ndjson
        self._body = BodyReader(
            framing,
            max_bytes=max_bytes,
            grow=self._permit.grow,
            # At once, so that strangers cannot fill the budget of a known sender.
            look=self._guess_source if source is None else None,
        )
        self._client.invite_body()

    def _wait_for_turn(self) -> None:
        assert self._body is not None  # noqa: S101 - begin() was called
        self._content = self._body.finish()
        self._body = None
        if not (self.source or self._guess):
            self._guess_source(self._content)
        source = self.source or self._guess
        enter = self._services.scheduler.enter
        self._ticket = enter(source, len(self._content), self._work)
        if self._ticket.is_active:
            self._work()

    def _guess_source(self, content: bytes) -> None:
        """Choose whose budget and queue a body without a key in a header uses.

        The decoded body decides; this only keeps known senders apart from strangers.
        """
        key = find_body_key(content[:_SCAN_BYTES])
        known = None if key is None else self._services.last_known_source(key)
        if known is not None and self._permit is not None:
            self._permit.move(self._services.budget, known)
            self._guess = known

    def _work(self) -> None:
        is_known = bool(self.source or self._guess)
        if len(self._content) > (_LARGE_BODY if is_known else _LARGE_STRANGE_BODY):
            self._services.run(self._process_slowly())
        else:
            self._try(self._process_quickly)

    def _process_quickly(self) -> None:
        unpacked = self._unpack()
        if self.source is None:
            source = self._services.cached_source(key_from_body(unpacked.value))
            if source is None:
                self._services.run(self._process_slowly(unpacked))
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
        self._options = read_query(self._query, lenient=self._route.lenient)
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
            request_context=RequestContext(
                self.source or "",
                self._received_at,
                self._request_id,
                assumes_receipt=self._route.lenient,
            ),
            policy=self._services.policy,
            idempotency_key=idempotency_key(self._headers),
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

    def settled(self, outcomes: list[Outcome] | None) -> None:
        """From the writer: an outcome for each event; None where it is unknown."""
        if self._permit is not None:
            self._permit.release()
        if self.is_done:
            return
        if outcomes is None:
            self._refuse(UnavailableError("The database did not confirm in time."))
        else:
            self._try(partial(self._complete, outcomes))

    def _complete(self, outcomes: list[Outcome]) -> None:
        entries, outcomes = self._entries, with_ignored(self._entries, outcomes)
        count_issues(self._services.metrics, entries, outcomes)
        response = build_response(
            entries,
            outcomes,
            route=self._route,
            request_id=self._request_id,
            dry_run=self._options.dry_run,
            request_warnings=self._options.warnings,
        )
        self._respond(response)

    # Waiting

    async def _authenticate_slowly(self, key: bytes) -> None:
        began = time.monotonic()
        try:
            source = await self._services.find_source(key)
        except Exception as error:  # noqa: BLE001 - `_fail` sorts them
            self._fail(error)
            return
        self._unread_s = time.monotonic() - began
        if not self.is_done:
            self._try(partial(self._admit, source))
        if self._early_error is not None and not self.is_done:
            self._refuse(self._early_error)
        early, self._early = bytes(self._early), bytearray()
        if early:
            self.feed(early)
        self._client.hold(held=False)
        if self._is_received and not self.is_done:
            self._try(self._wait_for_turn)

    async def _process_slowly(self, unpacked: Unpacked | None = None) -> None:
        try:
            entries = await self._process_in_steps(unpacked)
        except Exception as error:  # noqa: BLE001 - `_fail` sorts them
            self._fail(error)
            return
        if not self.is_done:
            self._try(partial(self._submit, entries))

    async def _process_in_steps(
        self, unpacked: Unpacked | None
    ) -> list[Entry | Ignored]:
        is_large = len(self._content) > _LARGE_BODY
        if unpacked is None:
            unpacked = await self._in_thread(self._unpack)
        if self.source is None and not self.is_done:
            self._waits_for_key = True
            key = key_from_body(unpacked.value)
            self._identify(await self._services.find_source(key))
            self._waits_for_key = False
        if self.is_done:
            return []
        process = partial(self._process, unpacked)
        return await self._in_thread(process) if is_large else process()

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
    def _origin(self) -> dict[str, str]:
        found = self._services.origin.fields(self._headers, self._client.peer)
        return {"method": self._method, **found}

    @override
    def _forget(self) -> None:
        self._body = None
        self._content = b""
        self._early = bytearray()
        self._entries = []

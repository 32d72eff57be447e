"""The first half of a request: who sends it, and its body.

A client whose key is not known yet holds little, and nothing of what senders share.
"""

from abc import ABC, abstractmethod

from typing_extensions import override

from app.access.credentials import find_body_key, key_from_headers
from app.ingest.body import BodyReader, check_headers
from app.ingest.lifecycle import Client, RequestLifecycle
from app.ingest.request import RequestHead
from app.ingest.routes import TrackRoute
from app.ingest.services import IngestServices
from app.request_errors import MethodNotAllowedError, RequestError

# How far into a body its key is looked for before it is decoded.
_SCAN_BYTES = 64 * 1024


class RequestIntake(RequestLifecycle, ABC):
    """The first half of a request: from its headers to the end of its body.

    Args:
        services: shared by all requests.
        route: where it was sent.
        head: the request line and the headers.
        request_id: ours.
        client: gets the response.
    """

    __slots__ = (
        "_arrived_at",
        "_body",
        "_early",
        "_early_error",
        "_guess",
        "_head",
        "_headers",
        "_is_ndjson",
        "_received_at",
    )

    def __init__(
        self,
        services: IngestServices,
        route: TrackRoute,
        head: RequestHead,
        request_id: str,
        client: Client,
    ) -> None:
        super().__init__(services, route, request_id, client)
        self._head = head
        self._headers = head.first
        self._received_at = services.clock()
        self._body: BodyReader | None = None
        # What arrived before it was known who sends.
        self._early = bytearray()
        self._early_error: RequestError | None = None
        # The known source that the body seems to name; "" if it names none.
        self._guess = ""
        self._arrived_at = 0.0
        self._is_ndjson = False

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
            self._try(self._body.feed, chunk)

    def end(self, received_at: float) -> None:
        """The body is complete; the time for the response begins.

        Args:
            received_at: when its last byte arrived, on the loop's clock.
        """
        self._is_received = True
        self._arrived_at = received_at
        if not self.is_done:
            self._services.deadlines.add(self, received_at)
            if self._body is not None:
                self._try(self._finish_body, self._body)

    def _keep(self, chunk: bytes) -> None:
        """Keep a part of the body that arrives before the key is known."""
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
        if self._head.method != b"POST":
            raise MethodNotAllowedError("Events are sent by POST.", allow="POST")
        key = self._head.key
        if key is None:
            key = self._head.key = key_from_headers(self._headers)
        if key is None:
            self._admit(None)
            return
        source = self._services.cached_source(key)
        if source is None:
            self._client.hold(held=True)
            self._permit = self._services.early_permit(key)
            self._run(self._authenticate_slowly(key))
        else:
            self._admit(source)

    def _admit(self, source: str | None) -> None:
        """Check the headers, and make room for the body."""
        services, limits = self._services, self._services.limits
        self.source = source
        if source is not None:
            self._client.trust()
            services.scheduler.check(source)
        if self._permit is not None:
            self._permit.release()
        max_bytes = limits.max_bytes
        if source is None:
            max_bytes = min(max_bytes, limits.max_unauthenticated_bytes)
        framing = self._head.framing
        if framing is None:
            framing = check_headers(
                self._headers,
                max_bytes=max_bytes,
                lenient=self._route.lenient,
                has_key=source is not None,
            )
            if source is not None:
                self._head.framing = framing
        if source is None:
            # Announced bytes are not held, because they may never arrive.
            self._permit = services.unauthenticated.permit("")
        else:
            self._permit = services.budget.permit(source)
            self._permit.grow(framing.length)
        self._is_ndjson = framing.is_ndjson
        self._body = BodyReader(
            framing,
            max_bytes,
            self._permit.grow,
            # At once, so that others cannot fill the budget of a known sender.
            self._guess_source if source is None else None,
        )
        self._client.invite_body()

    def _finish_body(self, body: BodyReader) -> None:
        content = body.finish()
        self._body = None
        if not (self.source or self._guess):
            self._guess_source(content)
        self._wait_for_turn(content)

    @abstractmethod
    def _wait_for_turn(self, content: bytes) -> None:
        """Go on with the whole body."""

    def _guess_source(self, content: bytes) -> None:
        """Choose whose budget and queue a body without a key in a header uses.

        The decoded body decides; this only tells known senders from others.
        """
        key = find_body_key(content[:_SCAN_BYTES])
        known = None if key is None else self._services.last_known_source(key)
        if known is not None and self._permit is not None:
            self._permit.move(self._services.budget, known)
            self._guess = known

    async def _authenticate_slowly(self, key: bytes) -> None:
        source = await self._services.find_source(key)
        self._try(self._admit, source)
        if self._early_error is not None:
            self._refuse(self._early_error)
        early, self._early = bytes(self._early), bytearray()
        if early:
            self.feed(early)
        if self.is_done:  # the client may be held for its next request
            return
        self._client.hold(held=False)
        if self._is_received and self._body is not None:
            self._try(self._finish_body, self._body)

    @override
    def _origin(self) -> dict[str, str]:
        found = self._services.origin.fields(self._headers, self._client.peer)
        return {"method": self._head.method.decode(), **found}

    @override
    def _forget(self) -> None:
        self._body = None
        self._early = bytearray()

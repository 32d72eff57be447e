"""The bytes of one connection: HTTP/1.1, with limits on its head and its time."""

import asyncio
from typing import Any, Literal

from typing_extensions import override
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from app.errors import InvalidHttpError, RequestError, SlowClientError
from app.http.exchange import EXTENSIONS, Exchange
from app.http.gate import GATE, Gate
from app.http.header_limits import HEADER_WEIGHT, MAX_HEADER_BYTES, headers_too_large
from app.http.monitor import WATCH, Unread, Watch
from app.http.raw_errors import refusal
from app.http.upgrade import Parser
from app.ingest.limits import MAX_PIPELINED

# States in which the parser may hold bytes that it has not reported.
_INCOMPLETE = frozenset({"head", "body"})


class Connection(HttpToolsProtocol):
    """Uvicorn's connection, whose own refusals are problem JSON, too.

    By itself it would hold headers of any size, wait for ever, and refuse in text.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.parser = Parser(self)
        self._watch: Watch = app_state[WATCH]
        self._gate: Gate = app_state[GATE]
        # So that a body is read and forgotten also where the gate answers.
        self.cycle = self._gate.answered
        # What is being read, and since when; between requests, since when nothing is.
        self._reading: Literal["start", "head", "body", "nothing"] = "start"
        self._since = self.loop.time()
        # Bytes of the URL, headers and trailers of this request, with their weights.
        self._header_bytes = 0
        # Bytes of unfinished headers, trailers and chunk extensions since the last one
        # that the parser reported.
        self._unparsed_bytes = 0
        self._unread = Unread(self._watch.limits.unread_s)
        self._refusal: RequestError | None = None
        # Whether its worker leaves, and the next answer on it is the last.
        self.leaves = False

    @override
    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch.checks.add(self.check)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.checks.discard(self.check)
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        """From asyncio; counts what the parser holds without reporting it."""
        self._unparsed_bytes += len(data)
        super().data_received(data)
        if self._unparsed_bytes > MAX_HEADER_BYTES and self._reading in _INCOMPLETE:
            self._refuse(headers_too_large())

    @override
    def on_message_begin(self) -> None:
        """From the parser."""
        super().on_message_begin()
        self.scope["extensions"] = EXTENSIONS
        self._reading = "head"
        self._header_bytes = self._unparsed_bytes = 0
        self._since = self.loop.time()

    @override
    def on_url(self, url: bytes) -> None:
        """From the parser: the URL, or a part of it."""
        self._count_header_bytes(len(url))
        super().on_url(url)

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        """From the parser: one header, or one trailer, which has no use."""
        self._count_header_bytes(len(name) + len(value) + HEADER_WEIGHT)
        if self._reading == "head":
            super().on_header(name, value)

    def _count_header_bytes(self, size: int) -> None:
        self._unparsed_bytes = 0
        self._header_bytes += size
        if self._header_bytes > MAX_HEADER_BYTES:
            self._refusal = headers_too_large()
            raise self._refusal

    @override
    def on_headers_complete(self) -> None:
        """From the parser; what is raised here comes back as no HTTP."""
        if len(self.pipeline) >= MAX_PIPELINED:
            self._refusal = InvalidHttpError("Too many requests wait here.")
            raise self._refusal
        if self.parser.should_upgrade():  # it comes again, without that
            return
        if not self._gate.admission.is_full or not self._turned_away():
            super().on_headers_complete()
            # It has not begun to run: that is for the loop's next turn.
            self.cycle.__class__ = Exchange
            if self.leaves:
                self.cycle.keep_alive = False
        self._reading = "body"
        self._since = self.loop.time()
        self._header_bytes = self._unparsed_bytes = 0

    def _turned_away(self) -> bool:
        """Whether this request was answered without a look at it."""
        posted = self.parser.get_method() == b"POST"
        if not posted or self._is_busy() or self.flow.write_paused:
            return False
        old = self.parser.get_http_version() == "1.0"
        closing = old or self.leaves or not self.parser.should_keep_alive()
        answer = self._gate.refuse(self.url, closing=closing)
        if answer is not None:
            self.transport.write(answer)
            if closing:
                self.transport.close()
        return answer is not None

    @override
    def on_body(self, body: bytes) -> None:
        """From the parser."""
        self._unparsed_bytes = 0
        super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        """From the parser."""
        super().on_message_complete()
        self._reading = "nothing"
        self._unparsed_bytes = 0
        if self.cycle.response_complete:
            self._since = self.loop.time()

    @override
    def on_response_complete(self) -> None:
        """From the request; instead of a timer for each, the watch closes idle ones."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self._reading == "nothing":
            self._since = self.loop.time()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        if not self.pipeline:
            self.flow.resume_reading()

    def check(self, now: float) -> None:
        """End this connection if its client takes too long.

        Args:
            now: on the loop's clock.
        """
        patience = self._patience()
        if self._unread.is_stuck(self.transport.get_write_buffer_size(), now):
            self.transport.abort()
        elif not self.transport.is_closing() and now - self._since > patience:
            if self._reading in {"head", "body"}:
                late = f"The {self._reading} did not arrive within {patience:g} s."
                self._refuse(SlowClientError(late))
            else:
                self.transport.close()

    def _patience(self) -> float:
        limits = self._watch.limits
        match self._reading:
            case "start" | "head":
                return limits.head_s
            case "body":
                return limits.body_s
            case "nothing":
                return float("inf") if self._is_busy() else self.timeout_keep_alive

    def continue_from_another_worker(self) -> None:
        """Say that it was open before: it is between two requests."""
        self._reading = "nothing"

    @property
    def is_idle(self) -> bool:
        """Whether no part of a request is here, and no part of an answer due."""
        return self._reading in {"start", "nothing"} and not self._is_busy()

    def _is_busy(self) -> bool:
        return not self.cycle.response_complete

    @override
    def send_400_response(self, msg: str) -> None:
        """For what the parser refuses."""
        self._refuse(self._refusal or InvalidHttpError("This is no HTTP/1.1 request."))

    def _refuse(self, error: RequestError) -> None:
        """TrackResponse for Rollcall's side of the connection, and end it."""
        begun = self._is_busy()
        if begun:
            if self._reading != "body" or self.pipeline:
                # Those before it are answered first, and nothing after them.
                self.flow.pause_reading()
                self.cycle.keep_alive = False
                return
            # Its own body is what is refused: nobody else answers it.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self._reading != "body" or not self.cycle.response_started:
            self._watch.count_refusal(error, begun=begun)
            self.transport.write(refusal(error, closing=True))
        self.transport.close()

"""One connection: HTTP/1.1, with limits on its time and on what waits."""

import asyncio
import logging
from typing import Any, NamedTuple

from typing_extensions import override
from uvicorn.config import Config
from uvicorn.server import ServerState

from app.http.application import ApplicationRequest
from app.http.exchange import Exchange
from app.http.inbox import ConnectionInbox
from app.http.monitor import ConnectionMonitor
from app.http.output import ResponseOutput
from app.http.reader import RequestReader
from app.http.timeouts import StalledReaderCheck
from app.ingest.dispatch import Dispatcher
from app.ingest.request import RequestHead
from app.request_errors import (
    InternalError,
    InvalidHttpError,
    RequestError,
    SlowClientError,
)

log = logging.getLogger(__name__)

# Where the lifespan's state holds the services of a connection.
CONNECTION_SERVICES = "connection_services"
# Requests that may wait on one connection behind the one under way: on a connection
# that has shown a known key, and on any other.
MAX_PIPELINED = 100
MAX_PIPELINED_WITHOUT_KEY = 1
# Bytes of the body of a waiting request, on a connection without a known key.
MAX_EARLY_WITHOUT_KEY = 16 * 1024


class ConnectionServices(NamedTuple):
    """Services that all connections of a worker share."""

    monitor: ConnectionMonitor
    dispatcher: Dispatcher


class Connection(ResponseOutput):
    """A connection of a client, as uvicorn's setting `http` takes it.

    A request that sends events is pushed to its handler, without a task. Any other
    is answered by the ASGI application. One request is under way at a time; while
    another waits behind it, nothing more is read.

    Args:
        config: of uvicorn, loaded; has the application.
        server_state: of uvicorn; has the headers of every response.
        app_state: the state that the lifespan yielded.
        _loop: the running one by default.

    Attributes:
        arrivals: the bytes that wait until they are parsed.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        services: ConnectionServices = app_state[CONNECTION_SERVICES]
        loop = _loop or asyncio.get_running_loop()
        super().__init__(loop, server_state=server_state, monitor=services.monitor)
        self._config = config
        self._app_state = app_state
        # uvicorn's annotation names its own protocols only.
        self._peers: set[Any] = server_state.connections
        self._dispatcher = services.dispatcher
        self.arrivals = ConnectionInbox(
            self._monitor.inbox, self, is_known=self._dispatcher.shows_known_key
        )
        self._reader = RequestReader(
            self,
            self.arrivals.arrived_at,
            self._monitor.unfinished_headers,
            self._monitor.known_heads,
        )
        self._stalled = StalledReaderCheck(self._monitor.limits.write_s)
        # The exchange whose body is being read: the current or the last waiting one.
        self._incoming: Exchange | None = None
        self._is_advancing = False
        # Whether the client sends nothing more; its bytes may still wait for a turn.
        self._has_ended = False
        # Requests that began in the bytes that arrived last.
        self._begun = 0

    # From asyncio

    @override
    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        name = transport.get_extra_info("peername")
        self.peer = str(name[0]) if isinstance(name, tuple) else ""
        self._was_unread = True  # while it waited to be accepted
        self._peers.add(self)
        self._monitor.add(self)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._peers.discard(self)
        self._monitor.remove(self)
        self._reader.close()
        self.arrivals.close()
        self._waiting.clear()
        self._disconnect(self._current)
        self.end_back_off()
        self.resume_writing()

    @override
    def data_received(self, data: bytes) -> None:
        self.arrivals.add(data, at_once=self.has_known_key)

    def parse(self, data: bytes) -> bool:
        """Parse bytes, and return whether their sender has shown a known key."""
        if not ("refused" in self._reasons or self.transport.is_closing()):
            self._begun = 0
            try:
                self._reader.feed(data)
            except RequestError as error:
                self.refuse(error)
            except Exception:
                log.exception("request failed")
                self.refuse(InternalError("Rollcall failed."))
            if self._has_ended and not self.half_close():
                self.transport.close()
        return self.has_known_key

    @override
    def eof_received(self) -> bool:
        """Keep the connection for bytes that wait for a turn, and for a response."""
        self._has_ended = True
        return bool(self.arrivals.waiting) or self.half_close()

    # From the reader

    def on_head(self, head: RequestHead) -> None:
        """Begin with a request, or have it wait for those before it."""
        most = MAX_PIPELINED if self.has_known_key else MAX_PIPELINED_WITHOUT_KEY
        # Those that are refused at once do not wait, but cost time all the same.
        self._begun += 1
        is_flood = not self.has_known_key and self._begun > 1 + most
        if len(self._waiting) >= most or is_flood:
            raise InvalidHttpError("Too many requests wait on this connection.")
        exchange = self._incoming = Exchange(head)
        if self._current is None:
            self._begin(exchange)
        else:
            self._waiting.append(exchange)
            self.pause("waiting")

    def on_chunk(self, chunk: bytes) -> None:
        """Hand on a part of the body."""
        incoming = self._incoming
        if incoming is not None:
            incoming.feed(chunk)
            if not self.has_known_key and len(incoming.early) > MAX_EARLY_WITHOUT_KEY:
                raise InvalidHttpError("Too many bytes wait on this connection.")

    def on_end(self) -> None:
        """Hand on the end of the body."""
        exchange, self._incoming = self._incoming, None
        if exchange is not None:
            exchange.end(self._reader.since)
            if exchange.is_answered:  # else its response goes on with the next
                self._advance()

    def refuse(self, error: RequestError) -> None:
        """Answer a request that no handler can answer, and end the connection."""
        if self.transport.is_closing():
            return
        current, incoming = self._current, self._incoming
        if current is not None and not current.is_answered and current is not incoming:
            # Those before it are answered first, and nothing after them.
            if self._waiting and self._waiting[-1] is incoming:
                self._waiting.pop()
            last = self._waiting[-1] if self._waiting else current
            last.keep_alive = False
            self.pause("refused")
            return
        if current is None or not (current.is_started or current.is_answered):
            self._disconnect(current)
            self._monitor.count_refusal(error, begun=current is not None)
            self.write_error(error)
        self.transport.close()

    # From the server and the monitor

    @property
    def is_idle(self) -> bool:
        """Whether no part of a request is here, and no part of a response due."""
        is_between = self._reader.state in {"start", "idle"}
        return self._current is None and is_between and not self.arrivals.waiting

    @property
    def idle_since(self) -> float:
        """When the last request ended, on the loop's clock."""
        return self._reader.since

    def start_draining(self) -> None:
        """Have the next response end the connection."""
        self._is_draining = True

    @property
    def is_unproven(self) -> bool:
        """Whether neither a known key nor a whole request has arrived on it."""
        current = self._current
        return not self.has_known_key and (current is None or not current.is_complete)

    def evict(self) -> None:
        """End the connection at once, to make room for another."""
        self.transport.abort()

    def close_if_idle(self) -> None:
        """End the connection if nothing is under way."""
        if self.is_idle and not self.transport.is_closing():
            self.transport.close()

    def shutdown(self) -> None:
        """From uvicorn, when it stops."""
        self.start_draining()
        self.close_if_idle()

    def check(self, now: float) -> None:
        """End the connection if its client takes too long.

        Args:
            now: on the loop's clock.
        """
        if self._stalled.is_stuck(self.transport.get_write_buffer_size(), now):
            self.transport.abort()
        elif self.is_paused or self.arrivals.waiting:  # it is us who take long
            self._reader.since = now
        elif not self.transport.is_closing():
            self._end_if_late(now)

    # Inside

    def _end_if_late(self, now: float) -> None:
        state = self._reader.state
        if state == "idle" and self._current is not None:
            return
        keep_alive_s = self._config.timeout_keep_alive
        limit_s = self._reader.limit_s(self._monitor.limits, keep_alive_s=keep_alive_s)
        if now - self._reader.since <= limit_s:
            return
        if part := {"head": "headers", "body": "body"}.get(state):
            late = f"The {part} did not arrive within {limit_s:g} s."
            self.refuse(SlowClientError(late))
        else:
            self.transport.close()

    def _begin(self, exchange: Exchange) -> None:
        self._current = exchange
        receiver = self._dispatcher.begin(exchange.head, self)
        if receiver is not None:
            exchange.begin(receiver)
            return
        request = ApplicationRequest(self._config, self._app_state, exchange, self)
        exchange.begin(request)
        task = self._loop.create_task(request.run())
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    @override
    def _advance(self) -> None:
        """Begin with the next request, if the current one is done with."""
        if self._is_advancing:
            return
        self._is_advancing = True
        try:
            while (
                self._current is not None
                and self._current.is_answered
                and self._current.is_complete
            ):
                self._current = None
                if self._waiting:
                    self._begin(self._waiting.popleft())
                elif self._reader.state == "idle":
                    self._reader.since = self._loop.time()
        finally:
            self._is_advancing = False
        self.pause("waiting", paused=bool(self._waiting))

    def _disconnect(self, exchange: Exchange | None) -> None:
        if exchange is not None and exchange.receiver and not exchange.is_answered:
            exchange.receiver.disconnect()

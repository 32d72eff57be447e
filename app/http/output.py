"""The responses of a connection."""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from secrets import token_hex

from uvicorn.server import ServerState

from app.http.exchange import Exchange
from app.http.flow import FlowControl
from app.http.monitor import ConnectionMonitor
from app.http.rendering import render
from app.http.unread import waited_s
from app.ingest.problems import problem_response
from app.ingest.responses import TrackResponse
from app.request_errors import RequestError

_CLOSE = b"connection: close\r\n"


class ResponseOutput(FlowControl, ABC):
    """Writes the responses of a connection, in the order of the requests.

    Args:
        loop: the running one.
        server_state: of uvicorn; has the headers of every response.
        monitor: has them as bytes.

    Attributes:
        has_known_key: whether a request on it was accepted with a known key.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        server_state: ServerState,
        monitor: ConnectionMonitor,
    ) -> None:
        super().__init__()
        self._loop = loop
        self._server = server_state
        self._monitor = monitor
        # The exchange whose response is due, and those behind it.
        self._current: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._is_half_closed = False
        self._is_draining = False
        self.has_known_key = False
        self._back_off: asyncio.TimerHandle | None = None

    def respond(self, response: TrackResponse, request_id: str) -> None:
        """Write a whole response to the current request."""
        exchange = self._current
        if exchange is None or exchange.is_answered or self.transport.is_closing():
            return
        try:
            data = render(
                response,
                request_id,
                self.common_headers(exchange),
                has_body=exchange.head.method != b"HEAD",
            )
        except Exception:
            self.abort()  # a defect: its client must not wait for ever
            raise
        self.write(exchange, data)
        self.finish(exchange)

    def trust(self) -> None:
        """A request on this connection carries a known key."""
        self.has_known_key = True

    def back_off(self, seconds: float) -> None:
        """Read nothing for a moment: this client's next request is not due yet."""
        if seconds > 0:
            self.end_back_off()
            self.pause("back-off")
            self._back_off = self._loop.call_later(seconds, self.end_back_off)

    def end_back_off(self) -> None:
        """Read again."""
        if self._back_off is not None:
            self._back_off.cancel()
            self._back_off = None
            self.pause("back-off", paused=False)

    def arrival_time(self) -> float:
        """When the bytes arrived that are read now, on the loop's clock.

        Bytes that came before this process served count from then on, so that requests
        which waited for its start are processed and not refused as late.
        """
        now = self._loop.time()
        if not self._was_unread:
            return now
        self._was_unread = False
        return max(now - waited_s(self.transport), self._monitor.began_at)

    def common_headers(self, exchange: Exchange) -> bytes:
        """The lines that every response begins with; decides whether it is the last."""
        is_last = not self._waiting and (self._is_draining or self._is_half_closed)
        if is_last or (exchange.expects_continue and not exchange.is_complete):
            # A client that was not invited may send its body or not: nobody can tell.
            exchange.keep_alive = False
        lines = self._monitor.header_lines(self._server.default_headers)
        return lines if exchange.keep_alive else lines + _CLOSE

    def write_error(self, error: RequestError) -> None:
        """Write the response to a request that no handler answers, the last one."""
        request_id = token_hex(16)
        response = problem_response(error, request_id=request_id)
        lines = self._monitor.header_lines(self._server.default_headers)
        self.transport.write(render(response, request_id, lines + _CLOSE))

    def write(self, exchange: Exchange, data: bytes) -> None:
        """Write a part of the response."""
        exchange.is_started = True
        if not self.transport.is_closing():
            self.transport.write(data)

    def invite_body(self) -> None:
        """Send `100 Continue`, if the client waits for it."""
        exchange = self._current
        if exchange is None or not exchange.expects_continue or exchange.is_started:
            return
        exchange.expects_continue = False
        if not (exchange.is_complete or self.transport.is_closing()):
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def half_close(self) -> bool:
        """Have the last response that is due end the connection; whether one is due."""
        last = self._waiting[-1] if self._waiting else self._current
        if last is None or not last.is_complete or last.is_started:
            return False
        self._is_half_closed = True
        return True

    def abort(self) -> None:
        """The response cannot be completed: end the connection."""
        self.transport.close()

    def finish(self, exchange: Exchange) -> None:
        """The response is complete: go on with the next request, or end."""
        exchange.is_answered = True
        # The two refer to each other. Such cycles are garbage that only the collector
        # finds; after thousands of requests it would stop the event loop for 20 ms.
        exchange.receiver = None
        self.hold(held=False)
        self._server.total_requests += 1
        if exchange.keep_alive:
            if not self.has_known_key:
                self.back_off(self._monitor.unauthenticated_pause_s())
            self._advance()
        elif not self.transport.is_closing():
            self.transport.close()

    @abstractmethod
    def _advance(self) -> None:
        """Begin with the next request, if the current one is done with."""

"""A request that an ASGI application answers, in a task of its own."""

import asyncio
import logging
from typing import Any

from starlette.types import Message
from uvicorn.config import Config

from app.http.exchange import Exchange
from app.http.output import ResponseOutput
from app.http.rendering import header_lines, status_line
from app.ingest.dispatch import TRUST
from app.ingest.request import RequestHead

log = logging.getLogger("app.http")

# Bytes of a body that wait for the application before reading stops.
_BUFFER_BYTES = 64 * 1024
# Larger parts of a response are written without being copied.
_COPY_BYTES = 16 * 1024
_NO_BODY = frozenset({204, 304})


class ApplicationRequest:
    """ASGI's view of one request: `receive` and `send`.

    Args:
        config: of uvicorn; has the application, which is called once, in a task.
        app_state: the state that the lifespan yielded.
        exchange: the request.
        output: where the response goes.
    """

    def __init__(
        self,
        config: Config,
        app_state: dict[str, Any],
        exchange: Exchange,
        output: ResponseOutput,
    ) -> None:
        self._application = config.loaded_app
        self._scope = _scope_of(exchange.head, output, config, app_state)
        self._exchange = exchange
        self._output = output
        self._body = bytearray()
        self._is_gone = False
        self._news = asyncio.Event()
        # Not written yet; sent in one go with the body where its length is known.
        self._head = b""
        self._has_body = True
        self._is_chunked = False

    def feed(self, chunk: bytes) -> None:
        """From the connection."""
        self._body += chunk
        self._output.hold(held=len(self._body) > _BUFFER_BYTES)
        self._news.set()

    def end(self, _received_at: float) -> None:
        """From the connection; an application has no deadline of its own."""
        self._news.set()

    def disconnect(self) -> None:
        """From the connection."""
        self._is_gone = True
        self._news.set()

    async def run(self) -> None:
        """Call the application, and complete the response whatever it does."""
        try:
            await self._application(self._scope, self._receive, self._send)
        except Exception:
            log.exception("request failed")
        if not self._exchange.is_answered and not self._is_gone:
            # It has answered its own errors: this is a defect of it.
            self._output.abort()

    async def _receive(self) -> Message:
        exchange = self._exchange
        self._output.invite_body()
        if not self._is_gone and not exchange.is_answered:
            self._output.hold(held=False)
            await self._news.wait()
            self._news.clear()
        if self._is_gone or exchange.is_answered:
            return {"type": "http.disconnect"}
        body, self._body = bytes(self._body), bytearray()
        return {
            "type": "http.request",
            "body": body,
            "more_body": not exchange.is_complete,
        }

    async def _send(self, message: Message) -> None:
        await self._output.drain()
        if self._is_gone or self._exchange.is_answered:
            return
        if message["type"] == "http.response.start":
            self._start(message["status"], list(message.get("headers", ())))
        else:
            self._continue(
                message.get("body", b""), more=message.get("more_body", False)
            )

    def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        names = {name.lower() for name, _ in headers}
        self._has_body = (
            status not in _NO_BODY and self._exchange.head.method != b"HEAD"
        )
        self._is_chunked = self._has_body and b"content-length" not in names
        if self._is_chunked and self._exchange.head.version == "1.0":
            # The end of the connection is the end of the body.
            self._is_chunked = False
            self._exchange.keep_alive = False
        if b"connection" in names:
            headers = [pair for pair in headers if pair[0].lower() != b"connection"]
            self._exchange.keep_alive = False
        if self._is_chunked:
            headers.append((b"transfer-encoding", b"chunked"))
        self._head = (
            status_line(status)
            + self._output.common_headers(self._exchange)
            + header_lines(headers)
            + b"\r\n"
        )
        if self._is_chunked:  # a stream: its first part may take long
            self._write(b"")

    def _continue(self, body: bytes, *, more: bool) -> None:
        if not self._has_body:
            body = b""
        elif self._is_chunked:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if not more:
                body += b"0\r\n\r\n"
        self._write(body)
        if not more:
            self._output.finish(self._exchange)
            self._body = bytearray()  # the rest of it may take long to arrive
            self._news.set()

    def _write(self, data: bytes) -> None:
        head, self._head = self._head, b""
        if len(data) > _COPY_BYTES:  # one object for many connections stays one
            if head:
                self._output.write(self._exchange, head)
            self._output.write(self._exchange, data)
        elif head or data:
            self._output.write(self._exchange, head + data)


def _scope_of(
    head: RequestHead, output: ResponseOutput, config: Config, app_state: dict[str, Any]
) -> Message:
    """ASGI's description of a request."""
    transport = output.transport
    is_tls = transport.get_extra_info("sslcontext") is not None
    return {
        "type": "http",
        "asgi": {"version": config.asgi_version, "spec_version": "2.3"},
        "http_version": head.version,
        "server": _address(transport.get_extra_info("sockname")),
        "client": _address(transport.get_extra_info("peername")),
        "scheme": "https" if is_tls else "http",
        "method": head.method.decode(),
        "root_path": config.root_path,
        "path": config.root_path + head.decoded_path,
        "raw_path": config.root_path.encode() + head.path,
        "query_string": head.query,
        "headers": head.headers,
        "state": app_state.copy(),
        "extensions": {TRUST: output.trust},
    }


def _address(name: object) -> tuple[str, int] | None:
    """Host and port of a socket's name; None for a Unix socket."""
    if isinstance(name, tuple):
        return str(name[0]), int(name[1])
    return None

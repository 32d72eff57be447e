"""A connection without a socket: bytes in, and the bytes that it writes."""

import asyncio
from typing import Any

from typing_extensions import override
from uvicorn.config import Config
from uvicorn.server import ServerState

from app.http.connection import CONNECTION_SERVICES, Connection, ConnectionServices
from app.http.monitor import ConnectionMonitor
from app.http.timeouts import ConnectionLimits
from app.ingest.dispatch import Dispatcher
from app.ingest.routes import TRACK_ROUTES
from tests.support.eventually import eventually
from tests.support.http.raw_http import statuses_of
from tests.support.ingest.tracking import KEY, Bench, event

LIMITS = ConnectionLimits(header_s=10, body_s=10, write_s=10)


class MemoryTransport(asyncio.Transport):
    """Keeps the bytes that a connection writes."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 1), "sockname": ("192.0.2.2", 2)})
        self.written = bytearray()
        self.reads = True
        self._is_closing = False

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    @override
    def close(self) -> None:
        self._is_closing = True

    @override
    def abort(self) -> None:
        self._is_closing = True

    @override
    def is_closing(self) -> bool:
        return self._is_closing

    @override
    def pause_reading(self) -> None:
        self.reads = False

    @override
    def resume_reading(self) -> None:
        self.reads = True

    @override
    def get_write_buffer_size(self) -> int:
        return 0


def _is_reader(headers: list[tuple[bytes, bytes]]) -> bool:
    return (b"authorization", b"Bearer rc_read") in headers


class Wire:
    """A client's end of a connection.

    Args:
        bench: handles the requests that send events.
        monitor: of the connection; one of its own by default.
    """

    def __init__(self, bench: Bench, monitor: ConnectionMonitor | None = None) -> None:
        async def rest(_scope: Any, _receive: Any, send: Any) -> None:
            headers = [(b"content-length", b"0")]
            await send(
                {"type": "http.response.start", "status": 204, "headers": headers}
            )
            await send({"type": "http.response.body", "body": b""})

        dispatcher = Dispatcher(
            TRACK_ROUTES, services=bench.services, rest=rest, is_known_reader=_is_reader
        )
        self.monitor = monitor or ConnectionMonitor(LIMITS, bench.metrics)
        services = ConnectionServices(self.monitor, dispatcher)
        config = Config(dispatcher)
        config.load()
        self.connection = Connection(
            config, ServerState(), {CONNECTION_SERVICES: services}
        )
        self.transport = MemoryTransport()
        self.connection.connection_made(self.transport)

    def send(self, *requests: bytes) -> None:
        """Have the bytes arrive in one piece."""
        self.connection.data_received(b"".join(requests))

    @property
    def statuses(self) -> list[int]:
        """Of the responses so far."""
        return statuses_of(bytes(self.transport.written))

    async def responses(self, count: int) -> list[int]:
        """The statuses of so many responses, once they are there."""
        await eventually(lambda: len(self.statuses) >= count)
        return self.statuses


def post(body: bytes | None = None, *headers: bytes, key: str = KEY) -> bytes:
    """A request that sends an event."""
    body = event() if body is None else body
    lines = (
        b"POST /track HTTP/1.1",
        b"Host: r",
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        *([b"Authorization: Bearer " + key.encode()] if key else []),
        *headers,
    )
    return b"\r\n".join([*lines, b"", body])

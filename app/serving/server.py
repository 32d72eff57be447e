"""uvicorn as Rollcall runs it, with graceful draining of connections."""

import asyncio
import contextlib
import logging
import select
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import uvicorn
from typing_extensions import override

from app.http.connection import CONNECTION_SERVICES, Connection, ConnectionServices
from app.logs import fields
from app.serving.acceptor import Acceptor
from app.serving.limits import KEEP_ALIVE_S, RELOAD_DRAIN_S
from app.serving.listener import BACKLOG

log = logging.getLogger(__name__)

_HEARTBEAT_S = 1.5
_SILENT_S = 1.0
_POLL_S = 0.02


def server_config(app: Callable[[], Any], **more: Any) -> uvicorn.Config:
    """Configuration of Rollcall's server, and of those that benchmarks compare.

    Args:
        app: factory of the ASGI app, called once in each worker.
        more: further arguments of uvicorn.
    """
    return uvicorn.Config(
        app,
        factory=True,
        lifespan="on",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        **more,
    )


class Server(uvicorn.Server):
    """Server of one worker, which drains its connections before it exits.

    A draining server accepts nothing new and ends each connection with the next
    response (`Connection: close`, RFC 9112 section 9.6). Closing it earlier could
    reset a request that is on its way.

    Args:
        app: factory of the ASGI app.
        stop_s: time limit for requests in flight after `stop`.
        heartbeat: called every two seconds while the event loop runs; the first call
            means that the server accepts connections.
        shares_listener: whether other workers accept from the same socket.
    """

    def __init__(
        self,
        app: Callable[[], Any],
        *,
        stop_s: float,
        heartbeat: Callable[[], Awaitable[None]],
        shares_listener: bool = False,
    ) -> None:
        super().__init__(
            server_config(
                app,
                http=Connection,
                proxy_headers=False,  # create_app does that for the routes that need it
                callback_notify=heartbeat,
                timeout_notify=_HEARTBEAT_S,
                timeout_graceful_shutdown=1,
            )
        )
        self._stop_s = stop_s
        self._shares_listener = shares_listener
        self._acceptors: list[Acceptor] = []
        self._deadline = self._close_idle_at = float("inf")
        self._draining: asyncio.Task[None] | None = None

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the worker."""
        yield

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, and accept connections."""
        if not (self._shares_listener and sockets):
            await super().startup(sockets)
            return
        await super().startup(sockets=[])
        if self.should_exit:  # `stop` was called during the start
            return
        self._acceptors = [
            Acceptor(listener, self._make_connection, self.server_state.connections)
            for listener in sockets
        ]

    def _make_connection(self) -> Connection:
        return Connection(self.config, self.server_state, self.lifespan.state)

    def drain(self) -> None:
        """Leave new connections to a successor; exit once the last one has ended."""
        if self._draining is None:
            self._begin(within_s=RELOAD_DRAIN_S)

    def stop(self) -> None:
        """Finish the requests in flight, close idle connections, and exit."""
        if self._close_idle_at == float("inf"):
            self._close_idle_at = time.monotonic() + _SILENT_S
            self._begin(within_s=self._stop_s)

    def _begin(self, *, within_s: float) -> None:
        self._deadline = time.monotonic() + within_s
        if not self.started:  # uvicorn looks at this once the app has started
            self.should_exit = True
        elif self._draining is None:
            self._draining = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        for server in self.servers:
            server.close()
        for acceptor in self._acceptors:
            acceptor.close()
        services: ConnectionServices = self.lifespan.state[CONNECTION_SERVICES]
        services.monitor.stop()
        connections = self.server_state.connections
        while time.monotonic() < self._deadline:
            self._drain_connections()
            # Nothing reports that a connection was silent long enough, or has ended.
            # The first pause is for connections that are accepted and not yet made.
            await asyncio.sleep(_POLL_S)
            if not connections and not any(each.pending for each in self._acceptors):
                break
        else:
            log.warning("requests cut off", extra=fields(connections=len(connections)))
        self.should_exit = True

    def _drain_connections(self) -> None:
        is_silent = time.monotonic() > self._close_idle_at
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection):  # as all are
                connection.start_draining()
                if is_silent and not _has_unread(connection):
                    connection.close_if_idle()


def _has_unread(connection: Connection) -> bool:
    """Whether the kernel holds bytes of the client that were not read yet."""
    descriptor: int = connection.transport.get_extra_info("socket").fileno()
    if descriptor < 0:  # it has just been closed
        return False
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))

"""Uvicorn as Rollcall runs it; and how a worker takes connections, and leaves."""

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import FrameType
from typing import Any

import uvicorn
from typing_extensions import override

from app.http.connection import CONNECTION_SERVICES, Connection, ConnectionServices
from app.logs import fields
from app.serving.draining import Draining

log = logging.getLogger(__name__)

BACKLOG = 2048
# Longer than the idle time of common proxies and SDKs, so that none of them sends
# into a connection that is just being closed.
_KEEP_ALIVE_S = 75
_BEAT_S = 2.0
_LOOK_S = 0.02


def server_config(make_app: Callable[[], Any], **more: Any) -> uvicorn.Config:
    """How an app is served: ours, and those that it is compared with.

    Args:
        make_app: called once in each worker.
        more: of uvicorn's own arguments.
    """
    return uvicorn.Config(
        make_app,
        factory=True,
        lifespan="on",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        **more,
    )


class Server(uvicorn.Server):
    """The server of one worker.

    What it says to its parent over their line is a beat, as long as its event loop
    turns; the first one means that it accepts. What it hears is at most one byte:
    "give your connections away, and leave". The end of the line means "leave", or
    that the parent is gone.

    Args:
        make_app: called when it starts.
        drain_s: for requests in flight to end when it leaves.
        line: to the parent.
        give: where open connections are put by a worker that is replaced.
        take: where they come out, at whichever worker is first.
    """

    def __init__(
        self,
        make_app: Callable[[], Any],
        *,
        drain_s: float,
        line: socket.socket,
        give: socket.socket,
        take: socket.socket,
    ) -> None:
        super().__init__(
            server_config(
                make_app,
                http=Connection,
                proxy_headers=False,  # create_app does that, where it matters
            )
        )
        self._drain_s = drain_s
        self._line = line
        self._take = take
        self._draining = Draining(give)
        self._tasks: set[asyncio.Task[Any]] = set()

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept, then tell the parent."""
        await super().startup(sockets)
        asyncio.get_running_loop().add_reader(self._take, self._adopt)
        reader, writer = await asyncio.open_unix_connection(sock=self._line)
        self._keep(self._obey(reader))
        self._keep(_beat(writer))

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nothing more, finish what is in flight, then end the app."""
        asyncio.get_running_loop().remove_reader(self._take)
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        services: ConnectionServices = self.lifespan.state[CONNECTION_SERVICES]
        services.monitor.stop()
        await self._drain()
        for task in self.server_state.tasks:
            task.cancel()
        await self.lifespan.shutdown()

    async def _drain(self) -> None:
        connections = self.server_state.connections
        began = time.monotonic()
        waited = 0.0
        # The first look also waits for those that are accepted and not yet made.
        while waited == 0 or (connections and waited < self._drain_s):
            for connection in list(connections):
                if isinstance(connection, Connection):  # as all are
                    self._draining.visit(connection, waited_s=waited)
            # No event tells all that this waits for: that a client was silent for long
            # enough, that another worker takes one more, that the last one is gone.
            await asyncio.sleep(_LOOK_S)
            waited = time.monotonic() - began
        if connections:
            log.warning("requests cut off", extra=fields(connections=len(connections)))

    async def _obey(self, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):  # the parent was killed
            while await reader.read(1):
                self._draining.gives = True
                self.should_exit = True
        self.handle_exit(signal.SIGTERM, None)

    @override
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Leave with all the others: nobody is left to take a connection."""
        self._draining.gives = False
        super().handle_exit(sig, frame)

    def _adopt(self) -> None:
        """Take a connection that another worker gave away."""
        try:
            _, descriptors, _, _ = socket.recv_fds(self._take, 1, 1)
        except BlockingIOError:  # another worker was first
            return
        loop = asyncio.get_running_loop()
        for descriptor in descriptors:
            given = socket.socket(fileno=descriptor)
            self._keep(loop.connect_accepted_socket(self._connection, given))

    def _connection(self) -> Connection:
        return Connection(self.config, self.server_state, self.lifespan.state)

    def _keep(self, work: Coroutine[Any, Any, Any]) -> None:
        """Let it go on by itself; the loop alone would forget it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _beat(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # the parent was killed
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(_BEAT_S)

"""A TCP proxy in front of Postgres that freezes, cuts and delays on command."""

import asyncio
import socket
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from sqlalchemy.engine import make_url

_CHUNK = 64 * 1024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, for no time at all

Act = Callable[[], None]


class Proxy:
    """Forwards bytes between clients and one Postgres, until told otherwise.

    Attributes:
        url: the database's URL, changed to lead through here.
        delay_s: how long each chunk of an answer is held back.
    """

    def __init__(self, database_url: str) -> None:
        self._upstream = make_url(database_url)
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[StreamWriter] = set()
        self._links: set[asyncio.Task[None]] = set()
        self._trap: tuple[bytes, Act, bool] | None = None
        self.url = ""
        self.delay_s = 0.0

    def freeze(self) -> None:
        """Forward nothing, in either direction; new connections find silence too."""
        self._open.clear()

    def thaw(self) -> None:
        """Forward again, beginning with the delayed data."""
        self._open.set()

    def cut(self) -> None:
        """Reset every connection; new ones are forwarded as before."""
        for writer in self._writers:
            raw = writer.get_extra_info("socket")
            is_open = raw.fileno() >= 0  # else the other end has closed it
            if is_open and raw.family != socket.AF_UNIX:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            writer.transport.abort()

    def before(self, words: bytes, act: Act) -> None:
        """Act once, when a client has sent these words and Postgres has not got them.

        They must lie within one chunk, as those of a short statement do.
        """
        self._trap = words, act, False

    def after(self, words: bytes, act: Act) -> None:
        """Act once, when Postgres has answered them and the client knows nothing."""
        self._trap = words, act, True

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Proxy"]:
        """Accept clients on a free port of 127.0.0.1, for as long as this lasts."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        url = self._upstream.set(host="127.0.0.1", port=port, query={})
        self.url = url.render_as_string(hide_password=False)
        try:
            yield self
        finally:
            server.close()
            self.cut()
            self.thaw()
            await asyncio.gather(*self._links)
            await server.wait_closed()

    async def _serve(self, questions: StreamReader, client: StreamWriter) -> None:
        link = asyncio.current_task()
        assert link is not None
        self._links.add(link)
        try:
            await self._link(questions, client)
        finally:
            self._links.remove(link)
            client.close()

    async def _link(self, questions: StreamReader, client: StreamWriter) -> None:
        with suppress(OSError):
            answers, server = await self._connect()
            ends = {client, server}
            armed: list[Act] = []
            self._writers |= ends
            try:
                await asyncio.gather(
                    self._ask(questions, server, armed),
                    self._answer(answers, client, armed),
                )
            finally:
                self._writers -= ends

    async def _ask(
        self, questions: StreamReader, server: StreamWriter, armed: list[Act]
    ) -> None:
        with _closing(server):
            while chunk := await questions.read(_CHUNK):
                if self._trap is not None and self._trap[0] in chunk:
                    _, act, answered = self._trap
                    self._trap = None
                    if answered:
                        armed.append(act)
                    else:
                        act()
                await self._forward(chunk, server)

    async def _answer(
        self, answers: StreamReader, client: StreamWriter, armed: list[Act]
    ) -> None:
        with _closing(client):
            while chunk := await answers.read(_CHUNK):
                if armed:
                    armed.pop()()
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await self._forward(chunk, client)

    async def _forward(self, chunk: bytes, target: StreamWriter) -> None:
        await self._open.wait()
        target.write(chunk)
        await target.drain()

    async def _connect(self) -> tuple[StreamReader, StreamWriter]:
        directory = self._upstream.query.get("host")
        if isinstance(directory, str) and directory.startswith("/"):
            port = self._upstream.query.get("port", 5432)
            return await asyncio.open_unix_connection(f"{directory}/.s.PGSQL.{port}")
        return await asyncio.open_connection(
            self._upstream.host, self._upstream.port or 5432
        )


@contextmanager
def _closing(target: StreamWriter) -> Iterator[None]:
    """Close it at the end, which is also how its own reader learns of the end."""
    try:
        with suppress(ConnectionError):
            yield
    finally:
        target.close()

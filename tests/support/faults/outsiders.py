"""Attackers, in a process of their own: `python -m tests.support.faults.outsiders`.

They have the lowest priority, so that they take no processor time from the service, its
Postgres and the sender that the test measures. They have a rate, because the row limits
the cost of each request, and not the number that a machine can send. The process prints
"ready", begins at a line on its standard input, and ends at the next with its figures.
"""

import asyncio
import json
import os
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field

from app.http.descriptors import raise_descriptor_limit
from tests.conftest import ROOT
from tests.support.faults.attacks import ATTACKS, DAWDLERS, KEY, Attack

# The service closes a connection at its limit of headers. The kernel takes bytes beyond
# it from the attacker, but they cost the service nothing.
_COUNTED_BYTES = 128 * 1024
_RECEIVE_BYTES = 4096
_LOWEST_PRIORITY = 19


@dataclass(slots=True)
class Figures:
    """What an attack came to.

    Attributes:
        requests: number of requests that were sent.
        connections: number of connections that were opened.
        sent: bytes of the requests.
        statuses: number of responses by status.
    """

    requests: int = 0
    connections: int = 0
    sent: int = 0
    statuses: dict[str, int] = field(default_factory=dict)


class _Attackers:
    def __init__(self, attack: Attack, endpoint: tuple[str, int], key: str) -> None:
        self._attack = attack
        self._endpoint = endpoint
        self._requests = [
            request.replace(KEY, key.encode()) for request in attack.requests
        ]
        self._opening = attack.opening.replace(KEY, key.encode())
        self._figures = Figures()
        self._statuses: Counter[str] = Counter()
        self._due = 0.0

    async def run(self, end: asyncio.Event) -> Figures:
        connections = [
            asyncio.create_task(self._keep_connected(number))
            for number in range(self._attack.connections)
        ]
        await end.wait()
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        self._figures.statuses = dict(self._statuses)
        return self._figures

    async def _keep_connected(self, number: int) -> None:
        request = self._requests[number % len(self._requests)]
        while True:
            await self._await_turn()
            with suppress(OSError, EOFError):
                reader, writer = await self._connect()
                self._figures.connections += 1
                try:
                    await self._send(reader, writer, request)
                finally:
                    writer.transport.abort()
            if not self._attack.again:
                return

    async def _await_turn(self) -> None:
        now = asyncio.get_running_loop().time()
        self._due = max(now, self._due + 1 / self._attack.rate)
        await asyncio.sleep(self._due - now)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        raw = socket.socket()
        if not self._attack.reads:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        raw.settimeout(0)
        await asyncio.get_running_loop().sock_connect(raw, self._endpoint)
        return await asyncio.open_connection(sock=raw)

    async def _send(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
    ) -> None:
        if self._opening:
            writer.write(self._opening)
            await self._read_response(reader)
        self._write(writer, request)
        if not self._attack.reads:
            await _read_nothing(writer)
        elif not self._attack.again:
            while await reader.read(65_536):
                pass
        else:
            while await self._read_response(reader):
                await self._await_turn()
                self._write(writer, request)

    def _write(self, writer: asyncio.StreamWriter, request: bytes) -> None:
        self._figures.requests += max(1, request.count(b" HTTP/1.1\r\n"))
        self._figures.sent += min(len(request), _COUNTED_BYTES)
        writer.write(request)

    async def _read_response(self, reader: asyncio.StreamReader) -> bool:
        """Read a whole response; False if the service closes the connection then."""
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        self._statuses[head[9:12].decode()] += 1
        if b"transfer-encoding: chunked" in head:
            await reader.readuntil(b"0\r\n\r\n")
        else:
            _, _, rest = head.partition(b"content-length: ")
            await reader.readexactly(int(rest.partition(b"\r\n")[0]))
        return b"connection: close" not in head


async def _read_nothing(writer: asyncio.StreamWriter) -> None:
    transport = writer.transport
    assert isinstance(transport, asyncio.ReadTransport)
    transport.pause_reading()
    await asyncio.Event().wait()


@dataclass(slots=True)
class Attacking:
    """An attack that goes on.

    Attributes:
        figures: of the whole attack, once it has ended.
    """

    figures: Figures = field(default_factory=Figures)


@asynccontextmanager
async def attacking(
    name: str, endpoint: tuple[str, int], *, key: str = ""
) -> AsyncIterator[Attacking]:
    """Attack a service, for as long as the context lasts.

    Args:
        name: of one of the attacks.
        endpoint: host and port of the service.
        key: a known key, for those attacks that have one.
    """
    host, port = endpoint
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.faults.outsiders"),
        *(name, host, str(port), key),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    attack = Attacking()
    try:
        assert await process.stdout.readline() == b"ready\n"
        process.stdin.write(b"begin\n")
        yield attack
        said, _ = await process.communicate(b"end\n")
        attack.figures = Figures(**json.loads(said))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _attack(name: str, host: str, port: str, key: str) -> Figures:
    attackers = _Attackers({**ATTACKS, **DAWDLERS}[name], (host, int(port)), key)
    print("ready", flush=True)  # noqa: T201 - a line of the protocol
    sys.stdin.readline()
    end = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), end.set)
    return await attackers.run(end)


def main() -> None:
    """Attack."""
    os.nice(_LOWEST_PRIORITY)
    raise_descriptor_limit()
    figures = asyncio.run(_attack(*sys.argv[1:]))
    print(json.dumps(asdict(figures)))  # noqa: T201 - another


if __name__ == "__main__":
    main()

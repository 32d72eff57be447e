"""Clients without a key, beside one sender with a key at 20 events a second."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.conftest import NewRow
from tests.faults.test_clients import p99
from tests.support.faults.stage import Stage, Trial

MIB = 1024 * 1024
RATE = 20
SECONDS = 4
# Below this, a p99 of the sender is good whatever it was when all was quiet.
GOOD_S = 0.03
# Of the worker's processor time: for a request or connection, and for a KB of it.
CPU_REQUEST_S, CPU_KB_S = 0.0003, 0.001
MEMORY_MIB = 64
LARGE = 60_000


def get(path: str, *headers: bytes) -> bytes:
    lines = [b"GET %b HTTP/1.1" % path.encode(), b"Host: r", *headers]
    return b"\r\n".join([*lines, b"", b""])


def post(length: int, body: bytes, *headers: bytes) -> bytes:
    lines = (
        b"POST /track HTTP/1.1",
        b"Host: r",
        b"Content-Type: application/json",
        b"Content-Length: %d" % length,
        *headers,
    )
    return b"\r\n".join([*lines, b"", body])


PATHS = (
    "/",
    "/docs",
    "/events",
    "/events/signed_up",
    "/livez",
    "/metrics",
    "/nope",
    "/openapi.json",
    "/readyz",
    "/schemas",
    "/sign-in",
    "/static-offline-docs/swagger-ui-bundle.js",
    "/track",
    "/v1/events",
)
HEADERS = (
    (b"Accept", b"a/b;q=0.1,"),
    (b"Accept-Encoding", b"gzip;q=0,"),
    (b"Authorization", b"Basic "),
    (b"Content-Type", b"a/b;c=d;"),
    (b"Cookie", b"\\"),
    (b"Cookie", b"a=b;"),
    (b"Forwarded", b"for=a,"),
    (b"If-None-Match", b'W/"a",'),
    (b"Last-Event-ID", b"\\"),
    (b"Range", b"bytes=0-1,"),
    (b"X-Forwarded-For", b"1.2.3.4,"),
    (b"X-Forwarded-Proto", b"https,"),
)
HOSTILE = [
    *(get("/livez", b"%b: %b" % (n, u * (LARGE // len(u)))) for n, u in HEADERS),
    *(get("/v1/events", b"%b: %b" % (n, u * (LARGE // len(u)))) for n, u in HEADERS),
    get("/sign-in", b'Cookie: rollcall_session="' + b"\\" * LARGE + b'"'),
    get("/v1/events?" + "&" * LARGE),
    get("/v1/events?" + "a=%25&" * (LARGE // 6)),
    get("/" + "/" * LARGE),
    get("/" + "%2f" * (LARGE // 3)),
    get("/" + "a/.." * (LARGE // 4)),
]


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Outsiders:
    """Connections that send the same again and again, or only once.

    Attributes:
        requests: how many were sent, or connections made.
        sent: bytes of these.
    """

    def __init__(self, endpoint: tuple[str, int], what: Sequence[bytes]) -> None:
        self._endpoint = endpoint
        self._what = what
        self.requests = 0
        self.sent = 0

    async def flood(self, connections: int, seconds: float, *, again: bool) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(
                    *(self._send(number, again=again) for number in range(connections))
                )

    async def _send(self, number: int, *, again: bool) -> None:
        what = self._what[number % len(self._what)]
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection(*self._endpoint)
                try:
                    await self._talk(reader, writer, what, again=again)
                finally:
                    writer.transport.abort()
            if not again:
                await asyncio.Event().wait()
            await asyncio.sleep(0)

    async def _talk(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        what: bytes,
        *,
        again: bool,
    ) -> None:
        while True:
            self.requests += max(1, what.count(b" HTTP/1.1\r\n"))
            self.sent += len(what)
            writer.write(what)
            if not again:
                while await reader.read(65536):
                    pass
                return
            if not await _read_response(reader):
                return


async def _read_response(reader: asyncio.StreamReader) -> bool:
    """Read a whole response; False where the connection ended with it."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b"transfer-encoding: chunked" in head:
            await reader.readuntil(b"0\r\n\r\n")
        else:
            _, _, rest = head.partition(b"content-length: ")
            await reader.readexactly(int(rest.partition(b"\r\n")[0]))
    except asyncio.IncompleteReadError:
        return False
    return b"connection: close" not in head


async def attack(
    trial: Trial, stage: Stage, outsiders: Outsiders, *, connections: int, again: bool
) -> tuple[float, float, float]:
    """The sender's p99 before and meanwhile, and the worker's processor time."""
    [pid] = stage.pids()
    first = len(trial.load.answers)
    before = cpu_s(pid)
    await trial.load.until_confirmed(RATE * SECONDS)
    quiet, own = p99(trial.load, first), cpu_s(pid) - before
    first, before = len(trial.load.answers), cpu_s(pid)
    await outsiders.flood(connections, SECONDS, again=again)
    return quiet, p99(trial.load, first), cpu_s(pid) - before - own


CASES = {
    **{f"GET {path}": ([get(path)], 50, True) for path in PATHS},
    "one busy client": ([get("/openapi.json")], 1, True),
    "all paths from 300": ([get(path) for path in PATHS], 300, True),
    "all paths from 2,000": ([get(path) for path in PATHS], 2_000, True),
    "wrong keys": (
        [post(2, b"{}", b"Key: rc_%d" % number) for number in range(300)],
        300,
        True,
    ),
    "hostile headers": (HOSTILE, 1, True),
    "one silent body": ([post(10 * MIB, b"{")], 1, False),
    "silent bodies": ([post(10 * MIB, b"{")], 50, False),
    "idle": ([get("/livez")], 300, False),
    "many idle": ([get("/livez")], 2_000, False),
    "unfinished headers": (
        [b"GET / HTTP/1.1\r\nHost: r\r\n" + b"a:\r\n" * 250_000],
        50,
        False,
    ),
    "pipelined documents": ([get("/openapi.json") * 20], 300, False),
    "unread bundles": (
        [get("/static-offline-docs/swagger-ui-bundle.js")],
        300,
        False,
    ),
}


@pytest.mark.at_length
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", CASES)
async def test_outsiders_neither_stop_nor_slow_a_sender(
    stage: Stage, new_row: NewRow, name: str
) -> None:
    what, connections, again = CASES[name]
    row = new_row("O", f"outsiders: {name}, {connections} connections")
    service = stage.start()
    outsiders = Outsiders(service.endpoint, what)
    async with stage.trial(row, rate=RATE) as trial:
        await trial.load.until_confirmed(RATE)
        quiet, busy, cpu = await attack(
            trial, stage, outsiders, connections=connections, again=again
        )
    allowed = outsiders.requests * CPU_REQUEST_S + outsiders.sent / 1024 * CPU_KB_S
    row.told("requests", f"{outsiders.requests}, {outsiders.sent / 1024:.0f} KB")
    row.seconds("p99 of the sender", busy, at_most=max(3 * quiet, GOOD_S))
    row.at_most("failed to the sender", trial.failed, 0)
    row.seconds("processor time", max(0.0, cpu), at_most=allowed + 0.1)
    row.at_most("memory", trial.memory_peak / MIB, MEMORY_MIB, " MB")
    row.settle()

"""Light clients: one task a request, at a rate, on connections that are kept open.

An open loop: a request goes out when it is due, however slow the answers are.
"""

import asyncio
import re
import socket
import struct
from asyncio import StreamReader, StreamWriter
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

from tests.support.faults.ledger import Body, Fate, Ledger

PATIENCE_S = 10.0  # as most SDKs have
_AGAIN_S = 0.3
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_RETRY_AFTER = re.compile(rb"retry-after: \d+\r\n", re.IGNORECASE)
_CLOSE = re.compile(rb"connection: close", re.IGNORECASE)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class TrackResponse:
    """What came back.

    Attributes:
        status: None where nothing did, or not all of it.
        asks_to_wait: whether it says when to send again.
        seconds: from the moment at which it was due.
    """

    status: int | None
    body: bytes = b""
    asks_to_wait: bool = False
    seconds: float = 0.0

    @property
    def is_in_order(self) -> bool:
        """2xx, or a refusal that says when to come again."""
        return self.status is not None and (
            200 <= self.status < 300
            or (self.status in {429, 503} and self.asks_to_wait)
        )


class Line:
    """A connection."""

    def __init__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @property
    def is_usable(self) -> bool:
        """Whether nobody has closed it: every client looks before it sends."""
        return not (self._reader.at_eof() or self._writer.is_closing())

    async def ask(self, request: bytes) -> tuple[int, bool, bytes]:
        """Send, and return status, whether to wait, and the body of the answer.

        Raises:
            OSError, EOFError, TimeoutError: there was none.
        """
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await self._reader.readexactly(int(length[1]) if length else 0)
        if _CLOSE.search(head):
            self.close()
        return int(head[9:12]), _RETRY_AFTER.search(head) is not None, body

    def send(self, data: bytes) -> None:
        """Send and wait for nothing."""
        self._writer.write(data)

    async def flood(self, data: bytes, *, times: int) -> None:
        """Send no faster than it is taken.

        Raises:
            OSError: it is no longer taken.
        """
        for _ in range(times):
            self._writer.write(data)
            await self._writer.drain()

    async def status(self) -> int | None:
        """Of the next answer; None if there is none."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                head = await self._reader.readuntil(b"\r\n")
        except (OSError, EOFError, TimeoutError):
            return None
        return int(head[9:12])

    def close(self) -> None:
        """Close at once, without waiting for unsent data."""
        self._writer.transport.abort()

    def reset(self) -> None:
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._writer.transport.abort()


def post(key: str, body: bytes, *, path: str = "/track") -> bytes:
    """A request, whole."""
    return (
        b"POST %b HTTP/1.1\r\nHost: rollcall\r\nAuthorization: Bearer %b\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        % (path.encode(), key.encode(), len(body))
    ) + body


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: rollcall\r\n\r\n".encode()


@dataclass(slots=True)
class Load:
    """Senders that go on until they are stopped.

    Attributes:
        endpoint: host and port of the service; may change under way.
        rate: requests a second.
        size: events in a body.
        answers: of each attempt of a body, in the order in which they came.
        unanswered: attempts on which the connection broke or was refused, by reason.
    """

    endpoint: tuple[str, int]
    key: str
    rate: float
    size: int = 1
    ledger: Ledger = field(default_factory=Ledger)
    answers: list[TrackResponse] = field(default_factory=list)
    unanswered: Counter[str] = field(default_factory=Counter)
    _idle: list[Line] = field(default_factory=list)
    _again: deque[tuple[float, Body]] = field(default_factory=deque)
    _heard: asyncio.Event = field(default_factory=asyncio.Event)
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def until(self, reached: Callable[[], bool], *, within_s: float) -> float:
        """Wait until this holds, looking after each answer; returns the seconds."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.timeout(within_s):
            while not reached():
                self._heard.clear()
                await self._heard.wait()
        return loop.time() - began

    async def until_confirmed(self, count: int, *, within_s: float = 30) -> float:
        """Wait until so many events more are confirmed."""
        wanted = len(self.ledger.confirmed) + count
        return await self.until(
            lambda: len(self.ledger.confirmed) >= wanted, within_s=within_s
        )

    async def until_new(self, status: str, *, within_s: float = 30) -> float:
        """Wait for the next result of this status."""
        before = self.ledger.statuses[status]
        return await self.until(
            lambda: self.ledger.statuses[status] > before, within_s=within_s
        )

    async def run(self) -> None:
        """Send at the rate until stopped, then send the retries."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not self._stopped.is_set():
            self._spawn(due)
            due += 1 / self.rate
            await asyncio.sleep(due - loop.time())
        await self._gather()
        while self._again:
            _, body = self._again.popleft()
            await self._send_again(body, loop.time())
        self.close()

    def close(self) -> None:
        """Let go of every connection."""
        for line in self._idle:
            line.close()

    def stop(self) -> None:
        """Send nothing new."""
        self._stopped.set()

    async def _gather(self) -> None:
        while self._tasks:
            await asyncio.gather(*self._tasks)

    def _spawn(self, due: float) -> None:
        body = self._next(due)
        task = asyncio.create_task(self._send_again(body, due))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _next(self, now: float) -> Body:
        if self._again and self._again[0][0] <= now:
            return self._again.popleft()[1]
        return self.ledger.new_body(self.size)

    async def _send_again(self, body: Body, due: float) -> None:
        fate = await self.send(body, due=due)
        if fate is Fate.UNKNOWN and body.is_to_be_sent_again:
            now = asyncio.get_running_loop().time()
            self._again.append((now + _AGAIN_S, body))

    async def send(self, body: Body, *, due: float | None = None) -> Fate:
        """One attempt, written down before and after."""
        loop = asyncio.get_running_loop()
        began = loop.time() if due is None else due
        self.ledger.begin(body)
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await self._ask(post(self.key, body.content))
        except (OSError, EOFError, TimeoutError) as error:
            self.unanswered[type(error).__name__] += 1
            answer = TrackResponse(None)
        answer = replace(answer, seconds=loop.time() - began)
        if answer.status is not None:
            self.answers.append(answer)
        fate = self.ledger.end(body, answer.status, answer.body)
        self._heard.set()
        return fate

    async def _ask(self, request: bytes) -> TrackResponse:
        line = await self._line()
        try:
            status, asks_to_wait, body = await line.ask(request)
        except BaseException:
            line.close()
            raise
        if line.is_usable:
            self._idle.append(line)
        return TrackResponse(status, body, asks_to_wait)

    async def _line(self) -> Line:
        while self._idle:
            line = self._idle.pop()
            if line.is_usable:
                return line
            line.close()
        return await dial(self.endpoint)


async def dial(endpoint: tuple[str, int]) -> Line:
    """A new connection."""
    return Line(*await asyncio.open_connection(*endpoint))


@asynccontextmanager
async def under_load(
    endpoint: tuple[str, int],
    key: str,
    *,
    rate: float = 150,
    size: int = 1,
    ledger: Ledger | None = None,
) -> AsyncIterator[Load]:
    """Load, for as long as the context lasts; then all that is sent again."""
    load = Load(endpoint, key, rate, size, ledger or Ledger())
    running = asyncio.create_task(load.run())
    try:
        yield load
    finally:
        load.stop()
        with suppress(asyncio.CancelledError):
            await running

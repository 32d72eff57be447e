"""A flood, from a process of its own: `python -m tests.support.faults.flood`.

An open loop: a request goes out when it is due, however slow the answers are. All are
made before the first one leaves, so that to send them takes little of the machine,
which the service runs on, too. At a rate of 0 it is a closed loop, which finds the
capacity of the service: every connection sends again once it has its answer.

It says "ready", begins at a line on its standard input, and ends with its figures.
"""

import asyncio
import gc
import json
import selectors
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from heapq import heappop, heappush

from app.http.descriptors import raise_descriptor_limit
from bench.load.bodies import bodies, yesterday
from tests.conftest import ROOT
from tests.support.faults.ledger import BYSTANDER
from tests.support.faults.sender import PATIENCE_S, post
from tests.support.faults.stage import Stage, new_key

_RECEIVE = 1 << 16
# Socket option for the time of arrival (socket(7)); Python has no name for it.
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("qq")


@dataclass(frozen=True, slots=True)
class Plan:
    """The requests of a flood.

    Attributes:
        first: number of the first event; no two floods may share any.
        batch: events in a body.
        rate: requests a second; 0 is as fast as answers come.
        seconds: how long.
        count: requests that are made; a closed loop may end before.
        connections: requests in flight at most.
        heeds: whether a refused sender waits as long as `Retry-After` says.
    """

    host: str
    port: int
    key: str
    first: int
    batch: int
    rate: float
    seconds: float
    count: int
    connections: int
    heeds: bool = True


@dataclass(slots=True)
class Figures:
    """The results of a flood.

    A response counts from the moment at which the kernel had it for this process. The
    process may read it much later: it has thousands of connections and one thread.

    Attributes:
        stored: how many were answered 200.
        refused: seconds from sending each request to its 429 or 503, in order.
        others: other answers, and requests that have none.
        seconds: from the first request to the last that was due.
        late: the 99th percentile of how late requests went out: for want of a free
            connection, or of time.
        stored_p99: of the seconds from sending a request to its 200.
    """

    stored: int = 0
    refused: list[float] = field(default_factory=list)
    others: int = 0
    seconds: float = 0.0
    late: float = 0.0
    stored_p99: float = 0.0

    @property
    def rate(self) -> float:
        """Bodies a second that were stored."""
        return self.stored / self.seconds

    @property
    def refusal_p99(self) -> float:
        return _p99(self.refused)


@dataclass(slots=True, eq=False)
class _Sender:
    """One connection, with at most one request under way."""

    socket: socket.socket
    sent_at: float = 0.0
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))
    answer: bytes = b""


class _Flood:
    def __init__(self, plan: Plan) -> None:
        day = yesterday()
        made = bodies(plan.first, plan.count, batch=plan.batch, day=day)
        self._requests = deque(post(plan.key, body) for body in made)
        self._plan = plan
        self._selector = selectors.DefaultSelector()
        self._free = deque(self._connected() for _ in range(plan.connections))
        # Those that were refused, by the time when they may send again.
        self._resting: list[tuple[float, int, _Sender]] = []
        self._in_flight = 0
        self._late: list[float] = []
        self._stored: list[float] = []
        self._figures = Figures()

    def run(self) -> Figures:
        plan = self._plan
        began = time.perf_counter()
        end = began + plan.seconds
        due = began
        while (now := time.perf_counter()) < end and self._requests:
            while self._resting and self._resting[0][0] <= now:
                self._free.append(heappop(self._resting)[2])
            while self._free and self._requests and due <= now:
                self._send(self._free.popleft(), due if plan.rate else now)
                due += 1 / plan.rate if plan.rate else 0
            self._receive(max(0.0, due - now) if self._free else 0.02)
        self._figures.seconds = time.perf_counter() - began
        # Events stored after this do not count for the rate.
        stored = self._figures.stored
        patience = time.perf_counter() + PATIENCE_S
        while self._in_flight and time.perf_counter() < patience:
            self._receive(0.1)
        self._figures.stored = stored
        self._figures.others += self._in_flight
        self._figures.late = _p99(self._late)
        self._figures.stored_p99 = _p99(self._stored)
        return self._figures

    def _connected(self) -> _Sender:
        raw = socket.create_connection((self._plan.host, self._plan.port))
        raw.settimeout(0)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        sender = _Sender(raw)
        self._selector.register(raw, selectors.EVENT_READ, sender)
        return sender

    def _send(self, sender: _Sender, due: float) -> None:
        self._late.append(time.perf_counter() - due)
        sender.sent_at = time.time()
        sender.unsent = memoryview(self._requests.popleft())
        self._in_flight += 1
        self._send_on(sender)
        if sender.unsent:
            both = selectors.EVENT_READ | selectors.EVENT_WRITE
            self._selector.modify(sender.socket, both, sender)

    def _send_on(self, sender: _Sender) -> None:
        with suppress(OSError):  # it takes no more now; or never, as reading will tell
            sender.unsent = sender.unsent[sender.socket.send(sender.unsent) :]

    def _receive(self, patience: float) -> None:
        for key, events in self._selector.select(patience):
            sender = key.data
            if events & selectors.EVENT_WRITE:
                self._send_on(sender)
                if not sender.unsent:
                    self._selector.modify(sender.socket, selectors.EVENT_READ, sender)
            if events & selectors.EVENT_READ:
                self._read(sender)

    def _read(self, sender: _Sender) -> None:
        data, arrived_at = _read_from(sender.socket)
        sender.answer += data
        if data and not _is_whole(sender.answer):
            return
        seconds = arrived_at - sender.sent_at
        rest_s = 0
        status = sender.answer[9:12]
        if status == b"200":
            self._figures.stored += 1
            self._stored.append(seconds)
        elif status in {b"429", b"503"} and b"retry-after: " in sender.answer:
            self._figures.refused.append(seconds)
            if self._plan.heeds:
                rest_s = _retry_after_s(sender.answer)
        else:
            self._figures.others += 1
        self._in_flight -= 1
        sender.answer = b""
        if sender.unsent or not data:  # it is of no use any more
            self._selector.unregister(sender.socket)
            sender.socket.close()
            sender = self._connected()
        if rest_s:
            heappush(self._resting, (time.perf_counter() + rest_s, id(sender), sender))
        else:
            self._free.append(sender)


def _read_from(raw: socket.socket) -> tuple[bytes, float]:
    """Read the bytes that arrived, and the time at which the kernel had the last."""
    data, arrived_at = b"", time.time()
    with suppress(ConnectionError):
        room = socket.CMSG_SPACE(_TIMESPEC.size)
        data, stamps, _, _ = raw.recvmsg(_RECEIVE, room)
        for _, _, stamp in stamps:
            seconds, nanoseconds = _TIMESPEC.unpack(stamp)
            arrived_at = seconds + nanoseconds / 1e9
    return data, arrived_at


def _retry_after_s(answer: bytes) -> int:
    _, _, rest = answer.partition(b"retry-after: ")
    return int(rest.partition(b"\r\n")[0])


def _p99(seconds: list[float]) -> float:
    slowest = sorted(seconds)[-len(seconds) // 100 :]
    return slowest[0] if slowest else 0.0


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    _, _, rest = head.partition(b"content-length: ")
    return len(body) >= int(rest.partition(b"\r\n")[0])


@asynccontextmanager
async def flooding(  # noqa: PLR0913 - the parts of a flood
    stage: Stage,
    *,
    batch: int,
    connections: int,
    seconds: float,
    rate: float = 0.0,
    count: int = 0,
    heeds: bool = True,
) -> AsyncIterator[asyncio.Task[Figures]]:
    """A flood of another source, which has begun; its task ends with its figures.

    Args:
        stage: has the service.
        heeds: whether a refused sender waits as long as `Retry-After` says.
        count: requests to be made; where there is a rate, it says how many.
    """
    host, port = stage.service.endpoint
    key = await new_key(stage.url, BYSTANDER)
    # Far from those of any other flood of this database.
    first = time.monotonic_ns()
    count = count or round(rate * seconds)
    plan = Plan(host, port, key, first, batch, rate, seconds, count, connections, heeds)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.faults.flood", json.dumps(asdict(plan))),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    end = asyncio.create_task(process.communicate(b"\n"))

    async def figures() -> Figures:
        said, _ = await end
        return Figures(**json.loads(said))

    yield (task := asyncio.create_task(figures()))
    await task


def main() -> None:
    """Flood."""
    raise_descriptor_limit()
    flood = _Flood(Plan(**json.loads(sys.argv[1])))
    gc.freeze()
    gc.disable()
    print("ready", flush=True)  # noqa: T201 - a line of the protocol
    sys.stdin.readline()
    print(json.dumps(asdict(flood.run())))  # noqa: T201 - another


if __name__ == "__main__":
    main()

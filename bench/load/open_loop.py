"""An open loop: requests go out when they are due, however slow the answers are.

A closed loop asks less of a server that stalls, and so never sees the stall. Here a
request has a time at which it is due; its latency runs from then, whether a
connection was free for it or not.
"""

import gc
import random
import select
import socket
import time
from collections import deque
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple
from urllib.parse import urlsplit

from bench.database import BenchmarkError
from bench.load.bodies import Part

_PATIENCE_S = 5.0
_RECEIVE = 1 << 18
_OK = b"HTTP/1.1 200 "
_LENGTH = b"content-length:"


class Latency(NamedTuple):
    """What senders saw.

    Attributes:
        ok: how many were answered 200; all of them, else there is no result.
        seconds: from the first request to the last answer.
        rate: answers a second.
        p50: milliseconds, as all that follow.
        p99: of the answers.
        slowest: answer of all.
        lag_p99: of the requests' going out after they were due: the client's own
            share, and that of waiting for a free connection.
    """

    ok: int
    seconds: float
    rate: float
    p50: float
    p90: float
    p99: float
    slowest: float
    lag_p99: float


@dataclass(slots=True)
class _Sender:
    """One connection, with at most one request under way."""

    socket: socket.socket
    due: float = 0.0
    answer: bytes = b""


@dataclass(slots=True)
class _Run:
    """The state of a run; times are of the monotonic clock."""

    due: deque[float]
    free: deque[_Sender]
    file: BinaryIO
    size: int
    busy: dict[socket.socket, _Sender] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)

    def send_what_is_due(self) -> None:
        while self.due and self.free:
            now = time.perf_counter()
            if self.due[0] > now:
                return
            sender = self.free.popleft()
            sender.due = self.due.popleft()
            sender.socket.sendall(self.file.read(self.size))
            self.busy[sender.socket] = sender
            self.lags.append(now - sender.due)

    def receive(self) -> None:
        for ready in self._wait():
            sender = self.busy[ready]
            sender.answer += ready.recv(_RECEIVE)
            if _is_whole(sender.answer):
                self.latencies.append(time.perf_counter() - sender.due)
                sender.answer = b""
                del self.busy[ready]
                self.free.append(sender)

    def _wait(self) -> list[socket.socket]:
        """Until an answer comes, or a request is due that can be sent."""
        patience = _PATIENCE_S
        if self.due and self.free:
            patience = max(0.0, self.due[0] - time.perf_counter())
        # Unlike epoll, select wakes to the microsecond.
        ready, _, _ = select.select(list(self.busy), [], [], patience)
        if not ready and patience == _PATIENCE_S:
            raise BenchmarkError(f"No answer for {_PATIENCE_S:g} s.")
        return ready


def send_on_time(
    address: str,
    part: Part,
    *,
    rate: float,
    connections: int,
) -> Latency:
    """Send requests at a rate, at random times as independent senders do (Poisson).

    Args:
        address: as http://127.0.0.1:8000.
        part: the requests; all of them are sent.
        rate: requests a second, on average.
        connections: requests in flight at most; others wait, and their time counts.

    Raises:
        BenchmarkError: an answer was not 200, or none came.
    """
    file = part.requests
    senders = [_Sender(_connect(address)) for _ in range(connections)]
    collects = gc.isenabled()
    gc.disable()  # a pause of ours is no latency of theirs
    try:
        with file.path.open("rb", buffering=1 << 20) as requests:
            requests.seek(part.first * file.size)
            began = time.perf_counter()
            times = deque(_times(part.count, rate, began))
            run = _Run(times, deque(senders), requests, file.size)
            while run.due or run.busy:
                run.send_what_is_due()
                run.receive()
            elapsed = time.perf_counter() - began
    finally:
        if collects:
            gc.enable()
        for sender in senders:
            sender.socket.close()
    return _summarise(run, elapsed)


def _times(count: int, rate: float, start: float) -> list[float]:
    chance = random.Random(count)
    times = []
    for _ in range(count):
        start += chance.expovariate(rate)
        times.append(start)
    return times


def _connect(address: str) -> socket.socket:
    parts = urlsplit(address)
    connection = socket.create_connection((parts.hostname, parts.port), _PATIENCE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _is_whole(answer: bytes) -> bool:
    """Whether an answer has arrived to its last byte.

    Raises:
        BenchmarkError: it is not 200, or the connection was closed.
    """
    if not answer or not answer.startswith(_OK[: len(answer)]):
        raise BenchmarkError(f"Not answered 200: {answer[:300]!r}")
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    _, _, rest = head.lower().partition(_LENGTH)
    return len(body) >= int(rest.partition(b"\r\n")[0])


def _summarise(run: _Run, elapsed: float) -> Latency:
    ordered = sorted(run.latencies)
    lags = sorted(run.lags)
    return Latency(
        ok=len(ordered),
        seconds=elapsed,
        rate=len(ordered) / elapsed,
        p50=_percentile(ordered, 0.5),
        p90=_percentile(ordered, 0.9),
        p99=_percentile(ordered, 0.99),
        slowest=ordered[-1] * 1000,
        lag_p99=_percentile(lags, 0.99),
    )


def _percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000

"""What watching costs those who write: the same load with watchers and without."""

import asyncio
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import NamedTuple
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from app.store.keys.keys import create_key
from app.store.operator_session import in_operator_transaction
from bench.database import SOURCE, BenchmarkError, Server
from bench.load.bodies import Requests, write_requests
from bench.load.scenarios import CAPACITY, CONNECTIONS, WARM_UP_S
from bench.load.wrk import saturate
from bench.process import ROLLCALL, rollcall_environment, started, wait_ready

_CHUNK = 1 << 16
_LEAST = 4096
_TICK_S = 0.2
_CONNECT_S = 10
# Of the rate, what watching may take in the median of all pairs.
BAR = 0.03


class Pair(NamedTuple):
    """Two runs, one right after the other.

    Attributes:
        without: events a second while nobody watches.
        watched: events a second while the watchers do.
        megabytes: that the watchers were sent.
    """

    without: float
    watched: float
    megabytes: float

    @property
    def cost(self) -> float:
        """Of the rate, what watching takes; below 0 where it was faster."""
        return 1 - self.watched / self.without


class Streams:
    """Open streams, read by one thread as fast as they come.

    Args:
        address: of the service.
        key: a read key.
        count: how many.
    """

    def __init__(self, address: str, key: str, count: int) -> None:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port or 0
        self._received: dict[socket.socket, int] = {}
        self._selector = selectors.DefaultSelector()
        self._stop = threading.Event()
        request = (
            f"GET /live/stream HTTP/1.1\r\nHost: {host}\r\n"
            f"Authorization: Bearer {key}\r\n\r\n"
        ).encode()
        for _ in range(count):
            stream = socket.create_connection((host, port), timeout=_CONNECT_S)
            stream.sendall(request)
            head = stream.recv(_CHUNK)
            if b" 200 " not in head.partition(b"\r\n")[0]:
                raise BenchmarkError(f"No stream: {head.decode(errors='replace')}")
            self._selector.register(stream, selectors.EVENT_READ, stream)
            self._received[stream] = 0

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read them meanwhile, and close them at the end."""
        thread = threading.Thread(target=self._read, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
            self._selector.close()
            for stream in self._received:
                stream.close()

    def received(self) -> int:
        """Bytes, of all.

        Raises:
            BenchmarkError: one of them was sent next to nothing.
        """
        least = min(self._received.values(), default=_LEAST)
        if least < _LEAST:
            raise BenchmarkError(f"A watcher was sent no more than {least} bytes.")
        return sum(self._received.values())

    def _read(self) -> None:
        while not self._stop.is_set():
            for key, _ in self._selector.select(_TICK_S):
                self._received[key.data] += len(key.data.recv(_CHUNK))


@dataclass(frozen=True, slots=True)
class Measurement:
    """Pairs of runs, each run with a fresh database and service.

    Attributes:
        server: the Postgres.
        seconds: of each run.
        workers: of the service.
        watchers: streams that are open at once.
        progress: is told of each pair.
    """

    server: Server
    seconds: int
    workers: int
    watchers: int
    progress: Console

    def measure(self, batch: int, *, pairs: int) -> list[Pair]:
        """Run the pairs, each other one in the other order.

        Args:
            batch: events in a body.
            pairs: how many.

        Raises:
            BenchmarkError: an answer was not 200, or a watcher saw next to nothing.
        """
        file = write_requests(
            self.server.directory / f"requests-{batch}",
            key=self.server.key,
            count=CAPACITY[batch] * (WARM_UP_S + self.seconds),
            batch=batch,
        )
        found: list[Pair] = []
        for number in range(pairs):
            if number % 2:
                watched, received = self._run(file, batch, watched=True)
                without, _ = self._run(file, batch, watched=False)
            else:
                without, _ = self._run(file, batch, watched=False)
                watched, received = self._run(file, batch, watched=True)
            pair = Pair(without, watched, received / 1e6)
            found.append(pair)
            self.progress.print(
                f"{batch} in a body: {without:,.0f}/s, {watched:,.0f}/s watched, "
                f"{pair.cost:.1%} less"
            )
        return found

    def _run(self, file: Requests, batch: int, *, watched: bool) -> tuple[float, int]:
        """Events a second, and the bytes that the watchers were sent."""
        warm_up = CAPACITY[batch] * WARM_UP_S
        load = partial(saturate, connections=CONNECTIONS[batch])
        with self.server.database() as url, self._serving(url) as address:
            make = partial(create_key, source=SOURCE, scope="read")
            key = asyncio.run(in_operator_transaction(url, make))
            load(address, file.part(0, warm_up), seconds=WARM_UP_S)
            self.server.checkpoint()
            streams = Streams(address, key, self.watchers if watched else 0)
            with streams.reading():
                part = file.part(warm_up, CAPACITY[batch] * self.seconds)
                rate = load(address, part, seconds=self.seconds).rate * batch
            return rate, streams.received()

    @contextmanager
    def _serving(self, url: str) -> Iterator[str]:
        with started(
            *(*ROLLCALL, "--port", 0, "--workers", self.workers),
            env=rollcall_environment(database_url=url),
            log=self.server.directory / "server.log",
        ) as process:
            wait_ready(process.address)
            yield process.address


def show_watchers(found: dict[int, list[Pair]], console: Console) -> None:
    """A line for each size of body, and whether the bar is met."""
    table = Table("events in a body", "without /s", "watched /s", "cost", "bar", "MB")
    for batch, pairs in found.items():
        cost = median(pair.cost for pair in pairs)
        table.add_row(
            str(batch),
            f"{median(pair.without for pair in pairs):,.0f}",
            f"{median(pair.watched for pair in pairs):,.0f}",
            f"{cost:.1%}",
            f"{'met' if cost < BAR else 'MISSED'} (< {BAR:.0%})",
            f"{median(pair.megabytes for pair in pairs):.1f}",
        )
    console.print(table)

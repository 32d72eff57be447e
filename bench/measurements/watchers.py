"""CPU time that watchers of the live page add to the same load of events."""

import asyncio
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
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
from bench.load.bodies import write_requests
from bench.load.open_loop import send_on_time
from bench.load.scenarios import CONNECTIONS
from bench.process import (
    ROLLCALL,
    Process,
    rollcall_environment,
    started,
    tree_cpu_seconds,
    wait_ready,
)

_CHUNK = 1 << 16
_LEAST = 4096
_TICK_S = 0.2
_CONNECT_S = 10
# Share of all cores that watching may add in the median of all pairs.
BAR = 0.03
# Requests a second, by events in a body: well below saturation on two cores.
RATES = {1: 2_500, 100: 60}


class Phase(NamedTuple):
    """CPU time while senders send at a fixed rate.

    Attributes:
        workers: share of one core that the workers use.
        postgres: share of one core that Postgres uses.
    """

    workers: float
    postgres: float


class Pair(NamedTuple):
    """Two phases of one service, one right after the other.

    Attributes:
        without: nobody watches.
        watched: the watchers do.
        megabytes: data that the watchers received.
    """

    without: Phase
    watched: Phase
    megabytes: float

    @property
    def cost(self) -> float:
        """Share of all cores that watching adds, and that writing cannot use."""
        added = sum(self.watched) - sum(self.without)
        return added / (os.cpu_count() or 1)


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
        """Bytes of all streams.

        Raises:
            BenchmarkError: one of them received next to nothing.
        """
        least = min(self._received.values(), default=_LEAST)
        if least < _LEAST:
            raise BenchmarkError(f"A watcher was sent no more than {least} bytes.")
        return sum(self._received.values())

    def _read(self) -> None:
        while not self._stop.is_set():
            for key, _ in self._selector.select(_TICK_S):
                self._received[key.data] += len(key.data.recv(_CHUNK))


@dataclass(slots=True)
class Measurement:
    """CPU time of a service and its Postgres with watchers and without.

    A fixed rate of events scatters less than the highest rate does.

    Attributes:
        server: the Postgres.
        seconds: of each phase.
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
        """Run the pairs on one service.

        Args:
            batch: events in a body.
            pairs: how many.

        Raises:
            BenchmarkError: a response was not 200, or a watcher received next to
                nothing.
        """
        rate = RATES[batch]
        size = rate * self.seconds
        file = write_requests(
            self.server.directory / f"requests-{batch}",
            key=self.server.key,
            count=size * (1 + 2 * pairs),
            batch=batch,
        )
        parts = (file.part(start, size) for start in range(0, file.count, size))
        with self._serving() as (process, key):
            load = partial(
                send_on_time, process.address, rate=rate, connections=CONNECTIONS[batch]
            )
            load(next(parts))
            found = []
            for _ in range(pairs):
                without, _ = self._phase(process, key, partial(load, next(parts)), 0)
                watched, received = self._phase(
                    process, key, partial(load, next(parts)), self.watchers
                )
                found.append(Pair(without, watched, received / 1e6))
                self.progress.print(
                    f"{batch} in a body: {sum(without):.1%} of a core, "
                    f"{sum(watched):.1%} watched"
                )
        return found

    def _phase(
        self, process: Process, key: str, load: Callable[[], object], watchers: int
    ) -> tuple[Phase, int]:
        """CPU time at the fixed rate, and the bytes that the watchers received."""
        streams = Streams(process.address, key, watchers)
        with streams.reading():
            workers, postgres = process.cpu_seconds(), self._postgres_seconds()
            began = time.monotonic()
            load()
            spent = time.monotonic() - began
            phase = Phase(
                (process.cpu_seconds() - workers) / spent,
                (self._postgres_seconds() - postgres) / spent,
            )
            return phase, streams.received()

    def _postgres_seconds(self) -> float:
        pid_file = self.server.cluster.data_dir / "postmaster.pid"
        return tree_cpu_seconds(int(pid_file.read_text().split()[0]))

    @contextmanager
    def _serving(self) -> Iterator[tuple[Process, str]]:
        """A service with a fresh database, and a read key."""
        make = partial(create_key, source=SOURCE, scope="read")
        with (
            self.server.database() as url,
            started(
                *(*ROLLCALL, "--port", 0, "--workers", self.workers),
                env=rollcall_environment(database_url=url),
                log=self.server.directory / "server.log",
            ) as process,
        ):
            wait_ready(process.address)
            yield process, asyncio.run(in_operator_transaction(url, make))


def show_watchers(found: dict[int, list[Pair]], console: Console) -> None:
    """A line for each size of body, and whether the bar is met."""
    table = Table(
        *("events in a body", "events/s", "workers, Postgres", "watched", "added"),
        *("of all cores", "least to most", "bar", "MB"),
    )
    for batch, pairs in found.items():
        costs = [pair.cost for pair in pairs]
        without, watched = (
            [median(values) for values in zip(*phases, strict=True)]
            for phases in zip(
                *((pair.without, pair.watched) for pair in pairs), strict=True
            )
        )
        table.add_row(
            str(batch),
            f"{RATES[batch] * batch:,}",
            " + ".join(f"{share:.1%}" for share in without),
            " + ".join(f"{share:.1%}" for share in watched),
            f"{sum(watched) - sum(without):.1%}",
            f"{median(costs):.1%}",
            f"{min(costs):.1%} to {max(costs):.1%}",
            f"{'met' if median(costs) < BAR else 'MISSED'} (< {BAR:.0%})",
            f"{median(pair.megabytes for pair in pairs):.1f}",
        )
    console.print(table)

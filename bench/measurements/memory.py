"""Whether the workers' memory stays as it is, under load for minutes."""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from bench.database import BenchmarkError, Server, run
from bench.load.bodies import write_requests
from bench.load.scenarios import CAPACITY, CONNECTIONS
from bench.load.wrk import saturate
from bench.process import (
    ROLLCALL,
    resident_bytes,
    rollcall_environment,
    started,
    wait_ready,
)

_SLICE_S = 5
_SAMPLE_S = 0.5
_MINUTE_S = 60.0
# The rate varies from one slice to the next.
_ROOM = 3


class Growth(NamedTuple):
    """What one worker held.

    Attributes:
        minutes: MB, the median of each minute, warm-up included.
        peak: MB, the most.
        growth: MB, from the first minute after the warm-up to the last.
    """

    minutes: list[float]
    peak: float
    growth: float


@dataclass(slots=True)
class _Samples:
    """Resident bytes of each worker with their time, in seconds from the start."""

    pids: list[int]
    taken: dict[int, list[tuple[float, int]]] = field(default_factory=dict)

    def take(self, stop: threading.Event) -> None:
        began = time.monotonic()
        while not stop.wait(_SAMPLE_S):
            for pid in self.pids:
                sample = (time.monotonic() - began, resident_bytes(pid))
                self.taken.setdefault(pid, []).append(sample)


def watch(
    server: Server, *, minutes: float, warm_up: float, workers: int
) -> list[Growth]:
    """Load a service with bodies of 1, 10 and 100 events in turn, at saturation.

    Args:
        server: the Postgres; its tables are emptied after each slice of the load.
        minutes: after the warm-up.
        warm_up: minutes.
        workers: of the service.

    Returns:
        What each worker held.

    Raises:
        BenchmarkError: an answer was not 200, or rows and answers differ.
    """
    total = (minutes + warm_up) * _MINUTE_S
    with server.database() as url:
        log = server.directory / "server.log"
        with started(
            *(*ROLLCALL, "--port", 0, "--workers", workers),
            env=rollcall_environment(database_url=url),
            log=log,
        ) as process:
            wait_ready(process.address)
            samples = _Samples(process.workers())
            with _sampling(samples):
                _load(server, url, process.address, seconds=total)
    return [
        _growth_of(taken, warm_up=warm_up * _MINUTE_S)
        for taken in samples.taken.values()
    ]


@contextmanager
def _sampling(samples: _Samples) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=samples.take, args=(stop,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _load(server: Server, url: str, address: str, *, seconds: float) -> None:
    needed = dict(CAPACITY)
    best = dict.fromkeys(CAPACITY, 0.0)
    first = 0
    end = time.monotonic() + seconds
    for batch in itertools.cycle(CAPACITY):
        if time.monotonic() >= end:
            return
        requests = write_requests(
            server.directory / "requests",
            key=server.key,
            count=round(needed[batch] * _SLICE_S),
            batch=batch,
            first=first,
        )
        first += requests.count * batch
        answers = saturate(
            address,
            requests.part(0, requests.count),
            seconds=_SLICE_S,
            connections=CONNECTIONS[batch],
        )
        best[batch] = max(best[batch], answers.rate)
        needed[batch] = min(CAPACITY[batch], round(best[batch] * _ROOM))
        [[rows]] = run(url, "SELECT count(*) FROM events")
        if rows < answers.ok * batch:
            raise BenchmarkError(f"{rows} rows for {answers.ok} bodies of {batch}.")
        run(url, "TRUNCATE events, event_ids")


def _growth_of(taken: list[tuple[float, int]], *, warm_up: float) -> Growth:
    megabytes = [(at, held / 1024**2) for at, held in taken]
    whole = int(megabytes[-1][0] // _MINUTE_S) + 1
    minutes = [
        median(held for at, held in megabytes if at // _MINUTE_S == minute)
        for minute in range(whole)
    ]
    after = [held for at, held in megabytes if at >= warm_up]
    window = max(1, min(len(after) // 2, round(_MINUTE_S / _SAMPLE_S)))
    return Growth(
        minutes=minutes,
        peak=max(held for _, held in megabytes),
        growth=median(after[-window:]) - median(after[:window]),
    )

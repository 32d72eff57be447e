"""How long `rollcall serve` takes to its first answer, its own Postgres included."""

import http.client
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from bench.database import BenchmarkError
from bench.load.bodies import bodies, yesterday
from bench.process import ROLLCALL, Process, rollcall_environment, started, wait_ready

_OK = 200
_PATIENCE_S = 30


class Start(NamedTuple):
    """Seconds from the command to what came of it.

    Attributes:
        listens: the port is open: early senders queue.
        answers: the first event is committed and answered 200.
    """

    listens: float
    answers: float


def measure_starts(directory: Path, *, count: int, workers: int) -> list[Start]:
    """Start the service again and again on one data directory.

    The first start, which makes the database, is not among them.

    Args:
        directory: for the data directory.
        count: how often.
        workers: of the service.
    """
    data_dir = directory / f"started-{workers}"
    with _started(data_dir, workers) as process:
        wait_ready(process.address)
    key = (data_dir / "quickstart.key").read_text().strip()
    return [
        _measure_start(data_dir, key, body, workers=workers)
        for body in bodies(0, count, batch=1, day=yesterday())
    ]


def _started(data_dir: Path, workers: int) -> AbstractContextManager[Process]:
    return started(
        *(*ROLLCALL, "--port", 0, "--workers", workers),
        env=rollcall_environment(data_dir=str(data_dir)),
        log=data_dir.with_suffix(".log"),
    )


def _measure_start(data_dir: Path, key: str, body: bytes, *, workers: int) -> Start:
    began = time.perf_counter()
    with _started(data_dir, workers) as process:
        listens = time.perf_counter()
        _post(process.address, key, body)
        return Start(listens - began, time.perf_counter() - began)


def _post(address: str, key: str, body: bytes) -> None:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port, timeout=_PATIENCE_S
    )
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    try:
        connection.request("POST", "/track", body, headers)
        answer = connection.getresponse()
        if answer.status != _OK:
            raise BenchmarkError(f"The first answer was {answer.status}.")
    finally:
        connection.close()

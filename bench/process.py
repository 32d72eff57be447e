"""A server under test, in a process of its own that surely ends."""

import http.client
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from app.settings import child_environment
from bench.database import BenchmarkError

ROLLCALL = (str(Path(sys.executable).with_name("rollcall")), "serve")
_LISTENS = " listens on "
_START_S = 30
_STOP_S = 30
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Process:
    """A running server.

    Attributes:
        pid: of the process that was started.
        address: as http://127.0.0.1:8000.
    """

    pid: int
    address: str

    def workers(self) -> list[int]:
        """The pids of those that answer: its children, or itself if it has none."""
        return list(filter(_is_worker, _children(self.pid))) or [self.pid]

    def cpu_seconds(self) -> float:
        """What its workers have spent so far."""
        return sum(map(_cpu_seconds, self.workers()))


def _is_worker(pid: int) -> bool:
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    # A copy of ours, one that came later, and those of what ours is compared with.
    return any(word in command for word in (b"serve", b"serving", b"spawn_main"))


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()]


def _cpu_seconds(pid: int, *, with_ended: bool = False) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11 : 15 if with_ended else 13])) / _TICKS_PER_S


def tree_cpu_seconds(pid: int) -> float:
    """CPU time of a process and of its children, those included that have ended."""
    own = _cpu_seconds(pid, with_ended=True)
    return own + sum(map(_cpu_seconds, _children(pid)))


def resident_bytes(pid: int) -> int:
    """The memory of a process that is in RAM now (VmRSS)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise BenchmarkError(f"Process {pid} has ended.")


def rollcall_environment(**settings: str) -> dict[str, str]:
    """Our environment with none of Rollcall's settings but these."""
    foreign = {
        name: value
        for name, value in child_environment().items()
        if not name.startswith("ROLLCALL_")
    }
    return foreign | {f"ROLLCALL_{k.upper()}": v for k, v in settings.items()}


@contextmanager
def started(
    *command: str | int, env: Mapping[str, str], log: Path
) -> Iterator[Process]:
    """Start a server that says where it listens, and stop it in good order.

    Args:
        command: the program and its arguments.
        env: its environment.
        log: gets its stderr.

    Raises:
        BenchmarkError: it does not start, or does not stop by itself.
    """
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            [str(word) for word in command],
            env=env,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
    ):
        try:
            yield Process(process.pid, _address_of(process, log))
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise BenchmarkError(f"{command[0]} did not stop.") from None


def _address_of(process: subprocess.Popen[str], log: Path) -> str:
    line = process.stdout.readline() if process.stdout is not None else ""
    _, listens, address = line.strip().partition(_LISTENS)
    if not listens:
        raise BenchmarkError(f"No start: {line}{log.read_text(errors='replace')}")
    return address


def wait_ready(address: str) -> None:
    """Return once the server answers; it may queue the question meanwhile."""
    parts = urlsplit(address)
    if parts.hostname is None:
        raise BenchmarkError(f"{address} is no address.")
    connection = http.client.HTTPConnection(
        parts.hostname, parts.port, timeout=_START_S
    )
    try:
        connection.request("GET", "/livez")
        connection.getresponse().read()
    finally:
        connection.close()

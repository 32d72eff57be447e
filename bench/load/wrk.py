"""wrk, the load generator for saturation: closed loop, in C, cheap beside the rest."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from bench.database import BenchmarkError
from bench.load.bodies import Part

_SCRIPT = Path(__file__).with_name("load.lua")
_PATIENCE_S = 15
# One is enough for 100,000 requests a second, and leaves the cores to the rest.
_THREADS = 1
_FIGURES = re.compile(r"(\w+)=(\d+)")


class Answers(NamedTuple):
    """What became of the requests of a run.

    Attributes:
        ok: how many were answered 200.
        seconds: from the first request to the last answer.
    """

    ok: int
    seconds: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.ok / self.seconds


def find_wrk() -> str:
    """The path of wrk.

    Raises:
        BenchmarkError: it is not installed.
    """
    path = shutil.which("wrk")
    if path is None:
        raise BenchmarkError(
            "The load comes from wrk, which is not here: apt-get install wrk."
        )
    return path


def wrk_version() -> str:
    """As wrk tells it."""
    if shutil.which("wrk") is None:
        return "absent"
    said = subprocess.run(
        [find_wrk(), "-v"], capture_output=True, text=True, check=False
    )
    return said.stdout.split("[")[0].removeprefix("wrk").strip()


def saturate(address: str, part: Part, *, seconds: int, connections: int) -> Answers:
    """Send requests as fast as they are answered.

    Args:
        address: as http://127.0.0.1:8000.
        part: more of them than the time allows.
        seconds: how long.
        connections: requests in flight, in all.

    Raises:
        BenchmarkError: an answer was not 200, a connection failed, or the requests
            did not suffice.
    """
    file = part.requests
    command = [
        *(find_wrk(), "-t", _THREADS, "-c", connections, "-d", f"{seconds}s"),
        *("--timeout", f"{_PATIENCE_S}s", "-s", _SCRIPT, address, "--"),
        *(file.path, file.size, part.first, part.count // _THREADS),
    ]
    said = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 2 * _PATIENCE_S,
    )
    _, found, line = said.stdout.partition("BENCH ")
    if not found:
        raise BenchmarkError(f"wrk failed: {said.stdout}{said.stderr}")
    figures = {name: int(value) for name, value in _FIGURES.findall(line)}
    for trouble in ("refused", "failed", "exhausted"):
        if figures[trouble]:
            raise BenchmarkError(f"The run is void: {line.strip()} (see {trouble}).")
    return Answers(figures["requests"], figures["microseconds"] / 1e6)

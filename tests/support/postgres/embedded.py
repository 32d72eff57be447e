"""Helpers for tests of the embedded Postgres: directories, processes, queries."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.embedded import Cluster, find_binaries
from app.files import exclusive_lock

ROOT = Path(__file__).resolve().parents[3]
SMALL = {"shared_buffers": "16MB"}

# Uses the cluster until its standard input ends.
USER = """
import sys
from pathlib import Path
from app.embedded import running

bin_dir = Path(sys.argv[2]) if len(sys.argv) > 2 else None
with running(
    Path(sys.argv[1]), bin_dir=bin_dir, settings={"shared_buffers": "16MB"}
) as cluster:
    print(cluster.socket_dir, flush=True)
    sys.stdin.read()
"""


@contextmanager
def reachable_directory(*, of_programs: bool = False) -> Iterator[Path]:
    """A directory that every user can enter; pytest's own are root's alone.

    In memory, where there is room: a dozen clusters are made. Programs may not run
    from there.
    """
    memory = Path("/dev/shm")  # noqa: S108 - mkdtemp makes the directory in it
    roomy = memory.is_dir() and shutil.disk_usage(memory).free >= 1 << 30
    place = memory if roomy and not of_programs else None
    with tempfile.TemporaryDirectory(prefix="rollcall-test-", dir=place) as name:
        Path(name).chmod(0o711)
        yield Path(name)


@contextmanager
def user_process(
    *arguments: Path,
    command: Sequence[str | Path] = (sys.executable,),
    modules: Path = ROOT,
    account: int | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the cluster; it leaves when its input is closed."""
    with subprocess.Popen(
        [*command, "-c", USER, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
        env={"PYTHONPATH": str(modules)},
        user=account,
        group=account,
        extra_groups=None if account is None else (),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def said_ready(process: subprocess.Popen[str]) -> Path:
    """Wait until the process has its cluster; the directory of the socket."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line, "the process ended before it had a cluster"
    return Path(line)


def sql(cluster: Cluster, statement: str) -> str:
    done = subprocess.run(
        [
            *(cluster.bin_dir / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1"),
            *("-h", cluster.socket_dir, "-U", "postgres", "-d", "rollcall"),
            *("-c", statement),
        ],
        check=False,
        capture_output=True,
        text=True,
        env={},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def postmaster(state_dir: Path) -> int:
    """The pid that Postgres recorded."""
    recorded = (state_dir / "postgres" / "postmaster.pid").read_text()
    return int(recorded.partition("\n")[0])


def wait_until_gone(state_dir: Path) -> None:
    """Block until no process of the server is left."""
    with exclusive_lock(state_dir / "server.lock"):
        pass


def crash(state_dir: Path, statement: str) -> None:
    """Commit a statement, then kill the only user and the server, in this order."""
    with user_process(state_dir) as user:
        said_ready(user)
        sql(Cluster(state_dir=state_dir, bin_dir=find_binaries()), statement)
        user.kill()
        user.wait()
        os.kill(postmaster(state_dir), signal.SIGKILL)
    wait_until_gone(state_dir)

"""`rollcall serve` in a process of its own, as an operator runs it."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import orjson

from app.settings import child_environment
from tests.support.limits import GENEROUS, PATIENCE_S
from tests.support.service.fork_server import ForkedProcess, fork_rollcall

T = TypeVar("T")
Process = subprocess.Popen[str] | ForkedProcess

ROLLCALL = Path(sys.executable).with_name("rollcall")
# Lines for a newcomer.
_INTRODUCTION = 6
# Passes descriptor 3 to the program that this process becomes (sd_listen_fds(3)).
_HAND_OVER = """
import os, sys
_, descriptor, *command = sys.argv
os.dup2(int(descriptor), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(command[0], command)
"""


def environment(**settings: str) -> dict[str, str]:
    """This process's environment with no setting of Rollcall's but these.

    With generous time limits, and without a journal unless it has a place.
    """
    if "data_dir" not in settings:
        settings.setdefault("journal", "off")
    settings = GENEROUS | settings
    inherited = child_environment()
    foreign = {k: v for k, v in inherited.items() if not k.startswith("ROLLCALL_")}
    return foreign | {f"ROLLCALL_{name.upper()}": v for name, v in settings.items()}


def rollcall(
    *arguments: str, env: dict[str, str], stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in a process that is forked."""
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as asked,
        tempfile.TemporaryFile("w+", encoding="utf-8") as stdout,
        tempfile.TemporaryFile("w+", encoding="utf-8") as stderr,
    ):
        asked.write(stdin or "")
        asked.seek(0)
        streams = asked.fileno(), stdout.fileno(), stderr.fileno()
        process = fork_rollcall(*arguments, env=env, streams=streams)
        try:
            status = process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            raise
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(
            list(arguments), status, stdout.read(), stderr.read()
        )


def until(found: Callable[[], T | None], *, within_s: float, what: str) -> T:
    """Ask again and again, until there is an answer that is true."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        answer = found()
        if answer:
            return answer
        time.sleep(0.01)
    raise AssertionError(f"not within {within_s:g} s: {what}")


def is_gone(pid: int) -> bool:
    """Whether a process has ended; a zombie has."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


def is_worker(command: bytes) -> bool:
    """Whether this is a copy of `rollcall serve`, or one that came later."""
    names = (b"\0serve\0", b"app.serving.worker", b"service.fork_server")
    return any(name in command for name in names)


def _command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return b""


@dataclass(frozen=True, slots=True)
class Service:
    """A running service.

    Attributes:
        process: the one that the operator started.
        address: as it said itself.
        introduction: the lines that followed on stdout; the embedded default's.
        log: where its stderr goes.
    """

    process: Process
    address: str
    introduction: list[str]
    log: Path

    @property
    def endpoint(self) -> tuple[str, int]:
        """Host and port, for a socket."""
        parts = urlsplit(self.address)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    def workers(self) -> list[int]:
        """The pids of those that answer."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in children if is_worker(_command_of(int(child)))]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """Ask it to leave; returns its exit status."""
        self.signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """End the process that was started, and no other."""
        self.signal(signal.SIGKILL)
        self.process.wait(PATIENCE_S)

    def peak_memory(self) -> int:
        """The most bytes that its only worker has held since it started."""
        [worker] = self.workers()
        status = Path(f"/proc/{worker}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024

    def refuses(self) -> bool:
        """Whether it takes no more connections."""
        try:
            socket.create_connection(self.endpoint, timeout=60).close()
        except ConnectionRefusedError:
            return True
        return False

    def requests(self) -> list[dict[str, object]]:
        """The log's line of each request."""
        # The last line may not be whole yet.
        whole = self.log.read_bytes().rpartition(b"\n")[0]
        lines = map(orjson.loads, whole.splitlines())
        return [line for line in lines if line["message"] == "request"]


@contextmanager
def serving(
    *arguments: str,
    env: dict[str, str],
    log: Path,
    introduced: bool = False,
    listener: socket.socket | None = None,
    closed: str = "",
) -> Iterator[Service]:
    """Start the service, and see to it that nothing of it is left afterwards.

    Args:
        arguments: of `rollcall serve`.
        env: its environment.
        log: gets its stderr.
        introduced: whether it tells a newcomer what to try.
        listener: handed over, as systemd does it.
        closed: streams that it does not get, in the shell's words.
    """
    command = [str(ROLLCALL), "serve", *arguments]
    if closed:
        command = ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", *command]
    if listener is not None:
        command = [sys.executable, "-c", _HAND_OVER, str(listener.fileno()), *command]
    with (
        log.open("ab") as stderr,
        subprocess.Popen(
            command,
            env=env,
            pass_fds=[] if listener is None else [listener.fileno()],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
        _announced(process, log, lines=_INTRODUCTION if introduced else 0) as service,
    ):
        yield service


@contextmanager
def forked(
    *arguments: str, env: dict[str, str], log: Path, introduced: bool = False
) -> Iterator[Service]:
    """Do as `serving` does, with forked processes: it is spared seconds of imports."""
    ours, theirs = os.pipe()
    with log.open("ab") as stderr:
        try:
            process = fork_rollcall(
                *("serve", *arguments),
                env=env,
                streams=(0, theirs, stderr.fileno()),
                stdout=ours,
            )
        finally:
            os.close(theirs)
        lines = _INTRODUCTION if introduced else 0
        with process, _announced(process, log, lines=lines) as service:
            yield service


@contextmanager
def _announced(process: Process, log: Path, *, lines: int) -> Iterator[Service]:
    """The service, once it has said its address, and so many lines behind that."""
    assert process.stdout is not None
    try:
        first = process.stdout.readline()
        assert first.startswith("Rollcall listens on "), log.read_text()
        said = [process.stdout.readline() for _ in range(lines)]
        yield Service(process, first.split()[-1], said, log)
    finally:
        if process.poll() is None:
            _end(process)


@contextmanager
def served(database_url: str, directory: Path, **settings: str) -> Iterator[Service]:
    """A service on a database, for as long as the context lasts; its log goes there."""
    env = environment(database_url=database_url, **settings)
    with forked("--port", "0", env=env, log=directory / "log.jsonl") as service:
        yield service


def _end(process: Process) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        raise

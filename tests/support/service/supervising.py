"""A supervisor with shell scripts as workers."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from typing_extensions import override

from app.serving.process import ChildProcess
from app.serving.supervisor import Supervisor
from app.serving.systemd import Notifier
from app.settings import Settings
from tests.support.eventually import eventually

TIMEOUT_S = 60
# The control socket is standard input, in both directions.
BEGINS = "read config; printf . >&0; "
SERVES = f"{BEGINS} exec sleep 300"
EXITS_WHEN_ASKED = f"{BEGINS} exec head -c 1"
CRASHES = f"{BEGINS} exit 3"
FAILS = "exit 3"
STUBBORN = f"trap '' TERM; {SERVES}"
DRAINS_FOR_EVER = f"{BEGINS} head -c 1; printf . >&0; exec sleep 300"


class Scripts:
    """Spawns one script after the other as worker, and the last one again and again.

    Args:
        scripts: of the workers in the order of their start.
        shortages: number of later workers that cannot be started.
    """

    def __init__(self, *scripts: str, shortages: int = 0) -> None:
        self._scripts = scripts
        self._shortages = shortages
        self.pids: list[int] = []

    @property
    def spawned(self) -> int:
        return len(self.pids)

    def __call__(self, control: socket.socket) -> ChildProcess:
        if self.spawned and self._shortages:
            self._shortages -= 1
            raise BlockingIOError
        script = self._scripts[min(self.spawned, len(self._scripts) - 1)]
        process = run(script, control)
        self.pids.append(process.pid)
        return process


def run(script: str, control: socket.socket) -> ChildProcess:
    return subprocess.Popen(
        ["/bin/sh", "-c", script],
        stdin=control.fileno(),
        stdout=subprocess.DEVNULL,
        env={"PATH": os.defpath},
    )


class RecordingNotifier(Notifier):
    """Keeps the states that the service manager would receive."""

    def __init__(self) -> None:
        super().__init__(None)
        self.states: list[str] = []

    @override
    def _send(self, state: str) -> None:
        self.states.append(state.partition("\n")[0])


@asynccontextmanager
async def supervising(
    scripts: Scripts,
    listener: socket.socket,
    *,
    metrics_dir: Path | None = None,
    notifier: Notifier | None = None,
    reread: Callable[[], Mapping[str, object]] = dict,
    **settings: float,
) -> AsyncIterator[asyncio.Task[None]]:
    """A supervisor, which gets SIGTERM at the end."""
    parent = Supervisor(
        spawn=scripts,
        settings=Settings.model_validate(settings),
        listener=listener,
        notifier=notifier or Notifier(None),
        metrics_dir=metrics_dir,
    )
    running = asyncio.create_task(parent.run({}, reread))
    await asyncio.sleep(0)  # now it handles signals
    yield running
    if not running.done():
        os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(TIMEOUT_S):
        await running


async def logged(
    caplog: pytest.LogCaptureFixture, message: str, times: int = 1
) -> None:
    await eventually(lambda: caplog.messages.count(message) >= times)

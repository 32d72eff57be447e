"""The parent, with programs in the place of workers that do what a test wants."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from typing_extensions import override

from app.errors import WorkerError
from app.serving.instructions import Instructions
from app.serving.notify import Notifier
from app.serving.process import Worker
from app.serving.starting import Starter
from app.serving.supervisor import Supervisor
from app.settings import Settings

PATIENCE_S = 60
INSTRUCTIONS = Instructions(database_url="none", workers=1, metrics_dir=None)
# The line is standard input, and goes both ways.
SERVES = "read told; printf . >&0; exec sleep 300"
LEAVES = "read told; printf . >&0; exec head -c 1"  # once it is told anything more
FAILS = "exit 3"
STUBBORN = f"trap '' TERM; {SERVES}"


class Scripts(Starter):
    """One script for the first workers, then one after the other, the last again."""

    def __init__(self, first: str, *later: str) -> None:
        super().__init__([], {})
        self._first = first
        self._later = later
        self.spawned = 0

    @override
    def fork(self, line: socket.socket) -> int:
        return run(self._first, line)

    @override
    def spawn(self, line: socket.socket) -> int:
        self.spawned += 1
        return run(self._later[min(self.spawned, len(self._later)) - 1], line)


def run(script: str, line: socket.socket) -> int:
    return os.posix_spawn(
        "/bin/sh",
        ["sh", "-c", script],
        {"PATH": os.defpath},
        file_actions=[(os.POSIX_SPAWN_DUP2, line.fileno(), 0)],
    )


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@asynccontextmanager
async def supervising(
    scripts: Scripts, listener: socket.socket, **settings: float
) -> AsyncIterator[asyncio.Task[None]]:
    """A supervisor that is told to leave at the end, in the way that it is."""
    supervisor = Supervisor(
        scripts,
        settings=Settings.model_validate(settings),
        listener=listener,
        notifier=Notifier(None),
    )
    running = asyncio.create_task(supervisor.run(INSTRUCTIONS))
    await asyncio.sleep(0)  # now it listens to signals
    yield running
    if not running.done():
        os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(PATIENCE_S):
        await running


async def said(caplog: pytest.LogCaptureFixture, message: str, times: int = 1) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while caplog.messages.count(message) < times:  # noqa: ASYNC110 - by itself
            await asyncio.sleep(0.01)


async def test_workers_that_never_serve_end_it(listener: socket.socket) -> None:
    with pytest.raises(WorkerError, match="the log says why"):
        async with supervising(Scripts(FAILS), listener, workers=2) as running:
            await asyncio.wait([running], timeout=PATIENCE_S)


async def test_who_served_is_replaced_soon_and_who_fails_later_and_later(
    listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    scripts = Scripts("read told; printf . >&0", FAILS)
    async with supervising(scripts, listener):
        await said(caplog, "worker ended", times=4)
    pauses = [
        record.__dict__["rollcall_fields"]["seconds_to_the_next"]
        for record in caplog.records
        if record.message == "worker ended"
    ]
    assert pauses == [0.2, 0.4, 0.8, 1.6]


async def test_the_socket_is_closed_when_it_leaves(listener: socket.socket) -> None:
    async with supervising(Scripts(SERVES), listener):
        assert listener.fileno() != -1
    assert listener.fileno() == -1


async def test_a_worker_that_does_not_leave_is_ended(
    listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    scripts = Scripts(STUBBORN, SERVES)
    async with supervising(scripts, listener, drain_timeout_seconds=0.1):
        os.kill(os.getpid(), signal.SIGHUP)
        await said(caplog, "worker replaced")
    assert "worker did not leave" in caplog.messages


class Shortage(Scripts):
    """No process can be made for the first workers that come later."""

    def __init__(self, first: str, *, failures: int) -> None:
        super().__init__(first, SERVES)
        self.failures = failures

    @override
    def spawn(self, line: socket.socket) -> int:
        self.failures -= 1
        if self.failures >= 0:
            raise BlockingIOError
        return super().spawn(line)


async def test_where_no_worker_can_be_made_the_old_ones_go_on(
    listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with supervising(Shortage(LEAVES, failures=1), listener) as running:
        os.kill(os.getpid(), signal.SIGHUP)
        await said(caplog, "workers not replaced")
        assert not running.done()
        os.kill(os.getpid(), signal.SIGHUP)
        await said(caplog, "worker replaced")


async def test_who_ended_is_replaced_once_a_worker_can_be_made(
    listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    scripts = Shortage("read told; printf . >&0", failures=2)
    async with supervising(scripts, listener):
        await said(caplog, "worker not started", times=2)
        async with asyncio.timeout(PATIENCE_S):
            while not scripts.spawned:  # noqa: ASYNC110 - by itself
                await asyncio.sleep(0.01)


async def test_a_worker_that_falls_silent_is_ended(
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker = Worker(lambda line: run(SERVES, line), silence_s=0.2)
    worker.begin(b"\n", ended=lambda _: None)

    assert await worker.ready()
    async with asyncio.timeout(PATIENCE_S):
        assert await worker.ended() == -signal.SIGKILL
    assert "worker hung" in caplog.messages

"""One worker process, with a shell script as worker."""

import asyncio
import signal
import time

import pytest

from app.serving import process
from app.serving.process import WorkerProcess
from tests.support.service.supervising import BEGINS, SERVES, TIMEOUT_S, run


async def test_worker_without_heartbeat_is_killed(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_SILENCE_S", 0.2)
    worker = WorkerProcess(lambda control: run(SERVES, control))
    async with asyncio.timeout(TIMEOUT_S):
        assert await worker.run({}) == -signal.SIGKILL
    assert worker.has_served
    assert "worker hung" in caplog.messages


async def test_worker_survives_a_pause_of_the_whole_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    worker = WorkerProcess(lambda control: run(SERVES, control))
    running = asyncio.create_task(worker.run({}))
    await worker.decided.wait()
    monkeypatch.setattr(loop, "time", lambda: time.monotonic() + 1000)
    for _ in range(9):  # timers that are due run first
        await asyncio.sleep(0)
    worker.stop()
    async with asyncio.timeout(TIMEOUT_S):
        assert await running == -signal.SIGTERM


async def test_worker_that_stops_without_heartbeats_is_not_hung(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stores queued events and its journal for as long as the settings say."""
    monkeypatch.setattr(process, "_SILENCE_S", 0.2)
    drains = f"trap 'sleep 0.5; kill $!; exit 0' TERM; {BEGINS} sleep 300 & wait"
    worker = WorkerProcess(lambda control: run(drains, control))
    running = asyncio.create_task(worker.run({}))
    await worker.decided.wait()
    worker.stop()
    async with asyncio.timeout(TIMEOUT_S):
        assert await running == 0
    assert not caplog.messages


async def test_worker_replaced_before_it_has_its_configuration_ends() -> None:
    worker = WorkerProcess(lambda control: run(SERVES, control))
    worker.drain()
    async with asyncio.timeout(TIMEOUT_S):
        assert await worker.run({}) == -signal.SIGTERM


async def test_worker_without_a_control_socket_is_an_error() -> None:
    worker = WorkerProcess(lambda control: run(SERVES, control))
    worker.control.close()
    with worker.process:
        with pytest.raises(OSError, match="Bad file descriptor"):
            await worker.run({})
        assert worker.decided.is_set()
        worker.process.kill()

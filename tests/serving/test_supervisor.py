"""The supervisor, with shell scripts as workers: start, crashes and stop."""

import asyncio
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from app.errors import WorkerError
from app.metrics.catalog import EVENTS
from app.metrics.counters import Metrics
from app.metrics.snapshots import Snapshot, read_snapshots, write_snapshot
from app.serving.supervisor import Supervisor
from app.serving.systemd import Notifier
from app.settings import Settings
from tests.support.eventually import eventually
from tests.support.metrics.samples import figures_of
from tests.support.service.supervising import (
    CRASHES,
    EXITS_WHEN_ASKED,
    FAILS,
    SERVES,
    STUBBORN,
    TIMEOUT_S,
    RecordingNotifier,
    Scripts,
    logged,
    supervising,
)


async def test_workers_that_never_serve_end_the_service(
    listener: socket.socket,
) -> None:
    with pytest.raises(WorkerError, match="the log shows why"):
        async with supervising(Scripts(FAILS), listener, workers=2) as running:
            await asyncio.wait([running], timeout=TIMEOUT_S)


async def test_error_in_the_watch_of_a_worker_ends_the_service(
    listener: socket.socket,
) -> None:
    parent = Supervisor(
        spawn=Scripts(SERVES),
        settings=Settings(workers=1),
        listener=listener,
        notifier=Notifier(None),
        metrics_dir=None,
    )
    async with asyncio.timeout(TIMEOUT_S):
        with pytest.raises(TypeError, match="not JSON serializable"):
            await parent.run({"unknown": object()})
    parent.close()


async def test_pause_before_a_replacement_doubles_with_each_failure(
    listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    async with supervising(Scripts(CRASHES, FAILS), listener):
        await logged(caplog, "worker ended", times=4)
    pauses = [
        record.__dict__["rollcall_fields"]["seconds_to_the_next"]
        for record in caplog.records
        if record.message == "worker ended"
    ]
    assert pauses == [0.2, 0.4, 0.8, 1.6]


@pytest.mark.usefixtures("endless_pauses")
async def test_stop_does_not_wait_for_the_pause_before_a_replacement(
    listener: socket.socket,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with supervising(Scripts(CRASHES), listener):
        await logged(caplog, "worker ended")


@pytest.mark.usefixtures("endless_pauses")
async def test_pause_that_ends_during_the_stop_starts_no_worker(
    listener: socket.socket,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scripts, notifier = Scripts(CRASHES, STUBBORN), RecordingNotifier()
    async with supervising(scripts, listener, notifier=notifier, workers=2):
        await logged(caplog, "worker ended")
        os.kill(os.getpid(), signal.SIGTERM)
        await eventually(lambda: "STOPPING=1" in notifier.states)
        # The pause is over, and the time limit of the other worker, too.
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "time", lambda: time.monotonic() + 1e4)
        await logged(caplog, "worker did not exit")
    assert scripts.spawned == 2


async def test_stop_closes_the_listener(listener: socket.socket) -> None:
    async with supervising(Scripts(SERVES), listener):
        assert listener.fileno() != -1
    assert listener.fileno() == -1


async def test_worker_that_ignores_sigterm_is_killed(
    listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = RecordingNotifier()
    async with supervising(
        Scripts(STUBBORN), listener, notifier=notifier, drain_timeout_seconds=0.1
    ):
        await eventually(lambda: notifier.states == ["READY=1"])
    assert "worker did not exit" in caplog.messages


async def test_crashed_worker_is_replaced_once_a_process_can_be_made(
    listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    scripts = Scripts(CRASHES, SERVES, shortages=2)
    async with supervising(scripts, listener):
        await logged(caplog, "worker not started", times=2)
        await eventually(lambda: scripts.spawned == 2)


async def test_crash_is_counted_and_exit_on_request_is_not(
    listener: socket.socket, tmp_path: Path
) -> None:
    scripts = Scripts(CRASHES, EXITS_WHEN_ASKED)

    def snapshot_of(worker: int) -> Path:
        return tmp_path / f"{scripts.pids[worker]}-snapshot.json"

    async with supervising(scripts, listener, metrics_dir=tmp_path):
        await eventually(lambda: scripts.spawned == 2)
        write_snapshot(snapshot_of(1), Snapshot({EVENTS.name: 5.0}, {}))
        os.kill(os.getpid(), signal.SIGHUP)
        await eventually(lambda: not snapshot_of(1).exists())
        figures = figures_of(Metrics(directory=tmp_path))
    assert figures("rollcall_worker_crashes_total") == 1
    assert read_snapshots(tmp_path)["retired.json"].counters[EVENTS.name] == 5

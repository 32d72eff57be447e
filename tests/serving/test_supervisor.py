"""The supervisor, with shell scripts as workers."""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from typing_extensions import override

from app.errors import OperatorError, WorkerError
from app.metrics.catalog import EVENTS
from app.metrics.counters import Metrics
from app.metrics.snapshots import Snapshot, read_snapshots, write_snapshot
from app.serving import process, supervisor
from app.serving.process import ChildProcess, WorkerProcess
from app.serving.supervisor import Supervisor
from app.serving.systemd import Notifier
from app.settings import Settings
from tests.support.eventually import eventually
from tests.support.metrics.samples import figures_of

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


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


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


async def test_stop_does_not_wait_for_the_pause_before_a_replacement(
    listener: socket.socket,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "_LONGEST_PAUSE_S", {True: 1e3, False: 1e3})
    monkeypatch.setattr(supervisor, "_SHORTEST_PAUSE_S", 1e3)
    async with supervising(Scripts(CRASHES), listener):
        await logged(caplog, "worker ended")


async def test_pause_that_ends_during_the_stop_starts_no_worker(
    listener: socket.socket,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "_LONGEST_PAUSE_S", {True: 1e3, False: 1e3})
    monkeypatch.setattr(supervisor, "_SHORTEST_PAUSE_S", 1e3)
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


async def test_reload_replaces_each_worker(
    listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    scripts = Scripts(EXITS_WHEN_ASKED)
    async with supervising(scripts, listener, workers=2):
        os.kill(os.getpid(), signal.SIGHUP)
        await logged(caplog, "worker replaced", times=2)
    assert scripts.spawned == 4


async def test_reload_keeps_the_workers_if_the_new_one_does_not_start(
    listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    scripts = Scripts(EXITS_WHEN_ASKED, FAILS, EXITS_WHEN_ASKED)
    async with supervising(scripts, listener) as running:
        os.kill(os.getpid(), signal.SIGHUP)
        await logged(caplog, "workers not replaced")
        assert not running.done()
        os.kill(os.getpid(), signal.SIGHUP)
        await logged(caplog, "worker replaced")


async def test_reload_hands_the_new_configuration_to_every_later_worker(
    listener: socket.socket, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO)
    answers: list[dict[str, object] | OperatorError] = [
        {"declarations": "new"},
        OperatorError("events/a.toml:1: wrong"),
    ]

    def reread() -> Mapping[str, object]:
        answer = answers.pop(0)
        if isinstance(answer, OperatorError):
            raise answer
        return answer

    record = f'read config; echo "$config" >> {tmp_path}/configs; printf . >&0; '
    scripts = Scripts(f"{record} exec head -c 1")
    async with supervising(scripts, listener, reread=reread):
        os.kill(os.getpid(), signal.SIGHUP)
        await logged(caplog, "worker replaced")
        os.kill(os.getpid(), signal.SIGHUP)
        await logged(caplog, "worker replaced", times=2)
    configs = (tmp_path / "configs").read_text().splitlines()

    # The first worker may write later than the one that replaces it.
    assert sorted(configs) == ['{"declarations": "new"}'] * 2 + ["{}"]
    assert "events/a.toml:1: wrong" in caplog.text


async def test_reload_does_not_wait_for_the_pause_of_a_worker_that_it_replaced(
    listener: socket.socket,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "_LONGEST_PAUSE_S", {True: 1e3, False: 1e3})
    monkeypatch.setattr(supervisor, "_SHORTEST_PAUSE_S", 1e3)
    caplog.set_level(logging.INFO)
    scripts = Scripts(CRASHES, EXITS_WHEN_ASKED)
    async with supervising(scripts, listener):
        await logged(caplog, "worker ended")
        for times in (1, 2):
            os.kill(os.getpid(), signal.SIGHUP)
            await logged(caplog, "worker replaced", times)
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "time", lambda: time.monotonic() + 1e4)
        for _ in range(9):  # timers that are due run first
            await asyncio.sleep(0)
    assert scripts.spawned == 3
    assert "asyncio" not in {record.name for record in caplog.records}


async def test_reload_keeps_the_workers_if_no_process_can_be_made(
    listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    scripts = Scripts(EXITS_WHEN_ASKED, shortages=1)
    async with supervising(scripts, listener) as running:
        os.kill(os.getpid(), signal.SIGHUP)
        await logged(caplog, "workers not replaced")
        assert not running.done()
        os.kill(os.getpid(), signal.SIGHUP)
        await logged(caplog, "worker replaced")


async def test_crash_is_repaired_while_an_old_worker_drains(
    listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    scripts = Scripts(DRAINS_FOR_EVER, f"{BEGINS} sleep 0.3; exit 3", SERVES)
    async with supervising(scripts, listener):
        os.kill(os.getpid(), signal.SIGHUP)
        await logged(caplog, "worker replaced")
        await logged(caplog, "worker ended")
        await eventually(lambda: scripts.spawned == 3)
        # SIGTERM is answered, too: the context ends without a timeout.


async def test_service_manager_hears_ready_while_old_workers_drain(
    listener: socket.socket,
) -> None:
    notifier = RecordingNotifier()
    async with supervising(
        Scripts(DRAINS_FOR_EVER, SERVES), listener, notifier=notifier
    ):
        await eventually(lambda: notifier.states == ["READY=1"])
        os.kill(os.getpid(), signal.SIGHUP)
        await eventually(lambda: notifier.states[1:] == ["RELOADING=1", "READY=1"])
    assert notifier.states[3:] == ["STOPPING=1"]


async def test_reload_waits_until_the_old_workers_of_the_one_before_have_ended(
    listener: socket.socket,
) -> None:
    """At most two workers for each slot run at the same time."""
    notifier = RecordingNotifier()
    scripts = Scripts(DRAINS_FOR_EVER, EXITS_WHEN_ASKED)
    async with supervising(scripts, listener, notifier=notifier):
        await eventually(lambda: notifier.states == ["READY=1"])
        os.kill(os.getpid(), signal.SIGHUP)
        await eventually(lambda: notifier.states[1:] == ["RELOADING=1", "READY=1"])
        os.kill(os.getpid(), signal.SIGHUP)
        for _ in range(9):
            await asyncio.sleep(0)
        assert len(notifier.states) == 3
        os.kill(scripts.pids[0], signal.SIGKILL)
        await eventually(lambda: notifier.states[3:] == ["RELOADING=1", "READY=1"])


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

"""The streams and signals that a command inherits, and signals at any moment."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.embedded import running
from tests.support.http.wire import connected
from tests.support.postgres.embedded import SMALL, reachable_directory, wait_until_gone
from tests.support.service.process import ROLLCALL, Service, environment, serving, until

PATIENCE_S = 60


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with reachable_directory() as directory:
        yield directory / "data"


@pytest.fixture
def heeds_a_hangup() -> Iterator[None]:
    """Undo nohup(1), under which the children of the tests would ignore SIGHUP."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("closed", ["<&-", "<&- 2>&-"])
def test_service_runs_with_closed_standard_streams(
    database_url: str, tmp_path: Path, closed: str
) -> None:
    env = environment(database_url=database_url)
    with serving(
        "--port", "0", env=env, log=tmp_path / "log", closed=closed
    ) as service:
        assert_alive(service)
        [first] = service.workers()
        service.signal(signal.SIGHUP)
        second = successor_of(first, service)
        assert_alive(service)
        os.kill(second, signal.SIGKILL)
        successor_of(second, service)
        assert_alive(service)


def assert_alive(service: Service) -> None:
    with connected(service, timeout_s=PATIENCE_S) as wire:
        wire.send(b"GET /livez HTTP/1.1\r\nHost: rollcall\r\n\r\n")
        assert wire.answer()[0] == 200


def successor_of(worker: int, service: Service) -> int:
    """Wait until another worker is the only one; returns its pid."""

    def only_other() -> int | None:
        workers = service.workers()
        return workers[0] if len(workers) == 1 and worker not in workers else None

    return until(only_other, within_s=PATIENCE_S, what="another worker")


def test_no_signal_leaves_the_embedded_postgres_behind(
    data_dir: Path, tmp_path: Path
) -> None:
    env = environment(data_dir=str(data_dir))
    with serving("--port", "0", env=env, log=tmp_path / "log") as service:
        service.signal(signal.SIGTERM)
        until(service.refuses, within_s=PATIENCE_S, what="it leaves")

        def has_ended() -> bool:
            service.signal(signal.SIGHUP)  # as a terminal sends it that is closed
            return service.process.poll() is not None

        until(has_ended, within_s=PATIENCE_S, what="it ends")
    assert service.process.returncode == 0
    wait_until_gone(data_dir)


@pytest.mark.usefixtures("heeds_a_hangup")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_command_that_is_ended_stops_the_postgres_that_it_started(
    data_dir: Path, number: signal.Signals
) -> None:
    with running(data_dir, settings=SMALL):
        pass  # the command starts a cluster that exists, and creates none
    wait_until_gone(data_dir)
    with subprocess.Popen(
        [ROLLCALL, "psql", "-Atc", "SELECT 'here'", "-c", "SELECT pg_sleep(100)"],
        env=environment(data_dir=str(data_dir)),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 128 + number
    wait_until_gone(data_dir)

"""A reload, with shell scripts as workers."""

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from app.errors import OperatorError
from tests.support.eventually import eventually
from tests.support.service.supervising import (
    BEGINS,
    CRASHES,
    DRAINS_FOR_EVER,
    EXITS_WHEN_ASKED,
    FAILS,
    SERVES,
    RecordingNotifier,
    Scripts,
    logged,
    supervising,
)


async def test_reload_replaces_each_worker(
    listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    scripts = Scripts(EXITS_WHEN_ASKED)
    async with supervising(scripts, listener, workers=2):
        os.kill(os.getpid(), signal.SIGHUP)
        await logged(caplog, "worker replaced", times=2)
    assert scripts.spawned == 4


@pytest.mark.parametrize(
    "scripts",
    [
        pytest.param(
            lambda: Scripts(EXITS_WHEN_ASKED, FAILS, EXITS_WHEN_ASKED), id="it ends"
        ),
        pytest.param(lambda: Scripts(EXITS_WHEN_ASKED, shortages=1), id="no process"),
    ],
)
async def test_reload_keeps_the_workers_if_the_new_one_does_not_start(
    listener: socket.socket,
    caplog: pytest.LogCaptureFixture,
    scripts: Callable[[], Scripts],
) -> None:
    caplog.set_level(logging.INFO)
    async with supervising(scripts(), listener) as running:
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


@pytest.mark.usefixtures("endless_pauses")
async def test_reload_does_not_wait_for_the_pause_of_a_worker_that_it_replaced(
    listener: socket.socket,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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

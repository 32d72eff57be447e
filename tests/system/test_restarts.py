"""Workers are replaced, and services, and no sender notices."""

import asyncio
import os
import shutil
import signal
import socket
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.conftest import ROOT
from tests.support.eventually import eventually
from tests.support.http.wire import connected, event, request
from tests.support.postgres.database import Database
from tests.support.service.clients import Calls, calling
from tests.support.service.process import Service, serving, until
from tests.system.conftest import Serve

# Processes start, on a machine that may be busy.
PATIENCE_S = 100


@pytest.fixture
def key(database: Database) -> str:
    return database.key()


def renewed(service: Service, before: list[int]) -> bool:
    """Whether all workers that there were have left, and as many others serve."""
    now = service.workers()
    return len(now) == len(before) and not {*now} & {*before}


def has_said(service: Service, message: str) -> bool:
    return f'"message":"{message}"'.encode() in service.log.read_bytes()


async def assert_all_stored_once(calls: Calls, engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        rows = Counter(await connection.scalars(text("SELECT message_id FROM events")))
    assert {*calls.answered} <= rows.keys()
    assert {*rows.values()} == {1}


@pytest.mark.parametrize("workers", [1, 2])
async def test_reload_fails_no_request(
    serve_program: Serve, key: str, engine: AsyncEngine, workers: int
) -> None:
    service = serve_program("--workers", str(workers))
    async with calling(service.endpoint, key) as calls:
        await calls.until_answered(50)
        before = service.workers()
        service.signal(signal.SIGHUP)
        await eventually(lambda: renewed(service, before), within_s=PATIENCE_S)
        await calls.until_answered(50)

    assert calls.failures == []
    # Each connection ended with a response that said so.
    assert calls.goodbyes > 0
    await assert_all_stored_once(calls, engine)


def version(service: Service) -> str:
    with connected(service) as wire:
        wire.send(b"GET /openapi.json HTTP/1.1\r\nHost: rollcall\r\n\r\n")
        _, _, answer = wire.answer()
    return str(answer["info"]["version"])


async def test_new_code_counts_from_the_restart_on_and_broken_code_never(
    serve_program: Serve, env: dict[str, str], tmp_path: Path
) -> None:
    code = tmp_path / "code"
    shutil.copytree(ROOT / "app", code / "app")
    main = code / "app" / "main.py"
    good = main.read_text()
    env["PYTHONPATH"] = str(code)
    service = serve_program()
    [worker] = service.workers()
    old = version(service)

    main.write_text("raise RuntimeError\n")
    service.signal(signal.SIGHUP)
    await eventually(
        lambda: has_said(service, "workers not replaced"), within_s=PATIENCE_S
    )
    assert service.workers() == [worker]
    assert version(service) == old

    main.write_text(good.replace('version=version("rollcall")', 'version="99.0"'))
    service.signal(signal.SIGHUP)
    await eventually(lambda: renewed(service, [worker]), within_s=PATIENCE_S)
    assert version(service) == "99.0"


async def test_inherited_socket_survives_the_service(
    env: dict[str, str], key: str, engine: AsyncEngine, tmp_path: Path
) -> None:
    with (
        socket.create_server(("127.0.0.1", 0), backlog=512) as listener,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE_S)
        env["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        with serving(env=env, log=tmp_path / "old", listener=listener) as old:
            assert old.endpoint == listener.getsockname()
            assert manager.recv(100) == b"READY=1"
            async with calling(old.endpoint, key) as calls:
                await calls.until_answered(50)
                with serving(env=env, log=tmp_path / "new", listener=listener) as new:
                    assert await asyncio.to_thread(manager.recv, 100) == b"READY=1"
                    old.signal(signal.SIGTERM)
                    assert await asyncio.to_thread(old.process.wait, PATIENCE_S) == 0
                    assert manager.recv(100) == b"STOPPING=1"
                    await calls.until_answered(50)
                    calls.end()
                    await calls.ended()
        assert new.process.returncode == 0
    assert calls.failures == []
    assert calls.goodbyes > 0
    await assert_all_stored_once(calls, engine)


def test_connection_made_without_workers_is_served_later(
    serve_program: Serve, key: str
) -> None:
    service = serve_program("--workers", "2")
    dead = service.workers()
    for worker in dead:
        os.kill(worker, signal.SIGKILL)
    until(
        lambda: not {*service.workers()} & {*dead}, within_s=PATIENCE_S, what="they end"
    )
    with connected(service, timeout_s=PATIENCE_S) as wire:
        wire.send(request(key, event()))
        assert wire.answer()[0] == 200


async def test_second_signal_ends_the_service_at_once(
    serve_program: Serve, key: str, engine: AsyncEngine
) -> None:
    service = serve_program(
        commit_timeout_seconds="60",
        answer_timeout_seconds="60",
        drain_timeout_seconds="60",
        journal="off",
    )
    async with engine.begin() as connection:
        await connection.execute(text("LOCK TABLE event_ids"))
        with connected(service) as wire:
            wire.send(request(key, event()))
            service.signal(signal.SIGTERM)
            await eventually(service.refuses, within_s=PATIENCE_S)
            assert service.process.poll() is None
            service.signal(signal.SIGTERM)
            assert await asyncio.to_thread(service.process.wait, PATIENCE_S) == 0

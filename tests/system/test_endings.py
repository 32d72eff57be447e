"""However the service ends, every confirmed event is stored once."""

import os
import signal
from collections import Counter
from contextlib import ExitStack
from functools import partial

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.eventually import eventually
from tests.support.http.wire import connected, event, request
from tests.support.ports import free_port
from tests.support.postgres.database import Database
from tests.support.service.load import Load, under_load
from tests.support.service.process import Service, is_gone, until
from tests.support.service.workers import spread
from tests.system.conftest import Serve

SIGKILL, SIGTERM = signal.SIGKILL, signal.SIGTERM


@pytest.fixture
def key(database: Database) -> str:
    return database.key()


async def assert_kept(load: Load, engine: AsyncEngine) -> None:
    """Nothing lost, nothing twice, nothing that was never sent."""
    async with engine.connect() as connection:
        rows = Counter(await connection.scalars(text("SELECT message_id FROM events")))
    assert load.stored <= rows.keys()
    assert set(rows.values()) == {1}
    assert len(rows) <= load.sent


async def assert_serves_again(serve: Serve, port: int, key: str) -> None:
    """A restart on the same port takes events again."""
    again = serve("--workers", "1", port=port)
    with connected(again) as wire:
        wire.send(request(key, event("afterwards")))
        assert wire.answer()[0] == 200


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("ending", [SIGKILL, SIGTERM])
async def test_confirmed_events_survive_the_end_of_the_service(
    serve: Serve, key: str, engine: AsyncEngine, ending: signal.Signals, workers: int
) -> None:
    service = serve("--workers", str(workers), port=free_port())
    async with under_load(service.address, key) as load:
        await load.until_stored(200)
        pids = service.workers()
        service.signal(ending)

    assert load.refused == []
    status = service.process.wait(60)
    assert status == (-SIGKILL if ending is SIGKILL else 0)
    until(lambda: all(map(is_gone, pids)), within_s=60, what="no worker is left")
    await assert_kept(load, engine)
    if ending is SIGKILL:
        await assert_serves_again(serve, service.endpoint[1], key)


async def test_killed_worker_is_replaced_and_loses_nothing(
    serve: Serve, key: str, engine: AsyncEngine
) -> None:
    service = serve("--workers", "2")
    async with under_load(service.address, key) as load:
        await load.until_stored(200)
        [victim, other] = service.workers()
        os.kill(victim, SIGKILL)
        await load.until_stored(200)
        until(
            lambda: {*service.workers()} - {victim, other},
            within_s=60,
            what="another worker",
        )
        service.signal(SIGTERM)

    await assert_kept(load, engine)


def read_by_the_service(service: Service) -> None:
    """Return once the service has read all data sent before this."""
    for _ in range(3):
        with connected(service) as wire:
            wire.send(b"GET /livez HTTP/1.1\r\nHost: rollcall\r\n\r\n")
            assert wire.answer()[0] == 200


async def a_commit_waits(engine: AsyncEngine) -> bool:
    """Whether a transaction waits for a lock."""
    async with engine.connect() as connection:
        waiting = text("SELECT count(*) > 0 FROM pg_locks WHERE NOT granted")
        return bool(await connection.scalar(waiting))


async def test_no_response_is_sent_before_the_commit(
    serve: Serve, key: str, engine: AsyncEngine
) -> None:
    service = serve(commit_timeout_seconds="60", answer_timeout_seconds="60")
    with ExitStack() as stack:
        wires = [stack.enter_context(connected(service)) for _ in range(5)]
        async with engine.begin() as connection:
            await connection.execute(text("LOCK TABLE event_ids"))
            for number, wire in enumerate(wires):
                wire.send(request(key, event(str(number))))
            await eventually(partial(a_commit_waits, engine), within_s=60)
            read_by_the_service(service)
            assert all(wire.is_silent() for wire in wires)
            workers = service.workers()
            service.kill()
            for worker in workers:  # which would outlive it, to answer
                os.kill(worker, SIGKILL)
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM events")) == 0


async def test_requests_in_flight_get_their_answers_before_it_leaves(
    serve: Serve, key: str, engine: AsyncEngine
) -> None:
    service = serve(commit_timeout_seconds="60", answer_timeout_seconds="60")
    with ExitStack() as stack:
        wires = [stack.enter_context(connected(service)) for _ in range(20)]
        async with engine.begin() as connection:
            await connection.execute(text("LOCK TABLE event_ids"))
            for number, wire in enumerate(wires):
                wire.send(request(key, event(str(number))))
            read_by_the_service(service)
            service.signal(SIGTERM)
            until(service.refuses, within_s=60, what="no new connections")
            assert service.process.poll() is None
        answers = [wire.answer() for wire in wires]

    assert [status for status, _, _ in answers] == [200] * 20
    assert [answer["stored"] for _, _, answer in answers] == [1] * 20
    assert service.process.wait(60) == 0
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM events")) == 20


def test_one_body_sent_64_times_at_once_to_two_workers_is_one_row(
    serve: Serve, key: str, database: Database
) -> None:
    service = serve("--workers", "2")
    with spread(service, at_least=64) as wires:
        for wire in wires:
            wire.send(request(key, event()))
        answers = [wire.answer()[2] for wire in wires]

    assert sum(answer["stored"] for answer in answers) == 1
    assert sum(answer["duplicates"] for answer in answers) == len(wires) - 1 >= 63
    assert {answer["results"][0]["id"] for answer in answers} == {
        str(id_) for [id_] in database.rows("SELECT id FROM events")
    }

"""A worker that is full refuses at once what is for its doors, and nothing else."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from socket import create_connection

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.store.engine import create_engine
from tests.support.database import Database
from tests.support.service import Service, until
from tests.support.wire import Wire, connected, event, head, request

PLACES = 2


@pytest.fixture(scope="module")
def own_settings() -> dict[str, str]:
    """Few places, and requests that wait long for their commit."""
    return {
        "max_inflight_requests": str(PLACES),
        "commit_timeout_seconds": "20",
        "answer_timeout_seconds": "20",
    }


@pytest.fixture
async def engine(own_database: Database) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(own_database.url)
    yield engine
    await engine.dispose()


@asynccontextmanager
async def nothing_commits(engine: AsyncEngine) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.execute(text("LOCK TABLE event_ids"))
        yield


@contextmanager
def filled(service: Service, key: str) -> Iterator[list[Wire]]:
    """Requests in all places, waiting for their commit."""
    with ExitStack() as stack:
        wires = [stack.enter_context(connected(service)) for _ in range(PLACES)]
        for number, wire in enumerate(wires):
            wire.send(request(key, event(f"early{number}")))
        until(lambda: is_full(service), within_s=20, what="no place is left")
        yield wires


def is_full(service: Service) -> bool:
    """By a key that nobody knows: it takes no place."""
    with connected(service) as wire:
        wire.send(request("rc_unknown", b"{}"))
        return wire.answer()[0] == 503


async def test_who_comes_to_a_full_worker_is_told_at_once_and_may_come_again(
    service: Service, key: str, engine: AsyncEngine
) -> None:
    with ExitStack() as stack:
        late = stack.enter_context(connected(service))
        async with nothing_commits(engine):
            early = stack.enter_context(filled(service, key))
            late.send(request(key, event("late")))
            status, headers, answer = late.answer()
            assert (status, answer["code"]) == (503, "overloaded")
            assert headers["retry-after"] == "1"
            assert headers["x-request-id"] == answer["response_id"]
            assert headers["content-type"] == "application/problem+json"
            assert "connection" not in headers

        assert [wire.answer()[0] for wire in early] == [200] * PLACES
        late.send(request(key, event("late")))
        assert late.answer()[2]["stored"] == 1


async def test_a_body_that_is_refused_unread_leaves_the_connection_in_step(
    service: Service, key: str, engine: AsyncEngine
) -> None:
    # What is left unread looks like requests: none must be taken for one.
    decoys = 1000 * request(key, event("decoy"))
    with ExitStack() as stack:
        late = stack.enter_context(connected(service))
        async with nothing_commits(engine):
            stack.enter_context(filled(service, key))
            late.send(head(key, length=len(decoys)) + decoys[:100])
            assert late.answer()[0] == 503
            late.send(decoys[100:] + request(key, b"{}") + b"GET /livez HTTP/1.1\r\n")
            assert late.answer()[0] == 503
            late.send(b"Host: rollcall\r\n\r\n")
            assert late.answer()[2] == {"status": "alive"}
            late.send(request(key, event("late")).replace(b"/track", b"/nope"))
            assert late.answer()[0] == 404


async def test_what_no_door_takes_is_refused_as_ever_and_leaves_the_connection_in_step(
    service: Service, key: str, engine: AsyncEngine
) -> None:
    async with nothing_commits(engine):
        with filled(service, key), create_connection(service.endpoint, 20) as late:
            late.sendall(b"HEAD /track HTTP/1.1\r\nHost: rollcall\r\n\r\n")
            late.sendall(b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n")
            with late.makefile("rb") as stream:
                refused, alive, body = stream.read().split(b"\r\n\r\n")

    assert refused.startswith(b"HTTP/1.1 405 ")
    assert alive.startswith(b"HTTP/1.1 200 ")
    assert body == b'{"status":"alive"}'


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"Host: rollcall", b"Connection: close"), (b"HTTP/1.1", b"HTTP/1.0")],
    ids=["close", "HTTP/1.0"],
)
async def test_a_connection_ends_after_a_refusal_where_it_would_after_an_answer(
    service: Service, key: str, engine: AsyncEngine, old: bytes, new: bytes
) -> None:
    async with nothing_commits(engine):
        with filled(service, key), connected(service) as late:
            late.send(request(key, event()).replace(old, new))
            status, headers, _ = late.answer()
            assert (status, headers["connection"]) == (503, "close")
            assert late.is_closed()


async def test_what_was_refused_is_counted_and_told_once_a_second(
    service: Service, key: str, engine: AsyncEngine
) -> None:
    async with nothing_commits(engine):
        with filled(service, key), connected(service) as late:
            for _ in range(20):
                late.send(request(key, event()))
                assert late.answer()[0] == 503
            late.send(b"GET /livez HTTP/1.1\r\nHost: rollcall\r\n\r\n")
            assert late.answer()[0] == 200

    told = service.log.read_bytes().count(b"more came than can be done")
    assert 1 <= told < 20

"""Requests beyond those that are worked on wait their turn, and none is refused."""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.http.wire import Wire, connected, event, head, request
from tests.support.postgres.database import Database
from tests.support.postgres.patient import patient_engine
from tests.support.service.process import Service

SLOTS = 2


@pytest.fixture(scope="module")
def own_settings() -> dict[str, str]:
    """Few requests at a time, and a long time for each."""
    return {
        "max_inflight_requests": str(SLOTS),
        "commit_timeout_seconds": "60",
        "answer_timeout_seconds": "60",
    }


@pytest.fixture
async def engine(own_database: Database) -> AsyncIterator[AsyncEngine]:
    engine = patient_engine(own_database.url)
    yield engine
    await engine.dispose()


@asynccontextmanager
async def nothing_commits(engine: AsyncEngine) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.execute(text("LOCK TABLE event_ids"))
        yield


async def test_requests_beyond_the_limit_wait_and_are_stored(
    service: Service, key: str, engine: AsyncEngine
) -> None:
    with ExitStack() as stack:
        wires = [stack.enter_context(connected(service)) for _ in range(10 * SLOTS)]
        async with nothing_commits(engine):
            for number, wire in enumerate(wires):
                wire.send(request(key, event(f"waiting-{number}")))
            with connected(service) as other:
                other.send(b"GET /livez HTTP/1.1\r\nHost: rollcall\r\n\r\n")
                assert other.answer()[0] == 200
            assert all(wire.is_silent() for wire in wires)
        answers = [wire.answer() for wire in wires]

    assert [(status, answer["stored"]) for status, _, answer in answers] == (
        [(200, 1)] * len(wires)
    )


async def test_client_that_leaves_the_queue_holds_up_nobody(
    service: Service, key: str, engine: AsyncEngine
) -> None:
    with connected(service) as last:
        async with nothing_commits(engine):
            with ExitStack() as stack:
                for number in range(5 * SLOTS):
                    wire: Wire = stack.enter_context(connected(service))
                    wire.send(request(key, event(f"left-{number}")))
            last.send(request(key, event("last")))
        assert last.answer()[2]["stored"] == 1


async def test_refusals_ahead_of_the_queue_do_not_wait(
    service: Service, key: str, engine: AsyncEngine
) -> None:
    with ExitStack() as stack:
        wires = [stack.enter_context(connected(service)) for _ in range(5 * SLOTS)]
        late = stack.enter_context(connected(service))
        async with nothing_commits(engine):
            for number, wire in enumerate(wires):
                wire.send(request(key, event(f"early-{number}")))
            late.send(request("rc_unknown", b"{}"))
            assert late.answer()[0] == 401
            late.send(head(key, length=10**9) + b"{")
            assert late.answer()[0] == 413
        assert [wire.answer()[0] for wire in wires] == [200] * len(wires)

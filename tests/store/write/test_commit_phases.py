"""A batch is committed in steps; a step that fails never changes an earlier outcome."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.store.engine import create_engine
from app.store.write.insert import CONFLICT, DUPLICATE, STORED, Claim, resolve_outcomes
from tests.support.postgres.proxy import Proxy
from tests.support.store.entries import (
    commit,
    committing,
    counts,
    record,
    records,
    rejection,
    save,
)
from tests.support.store.sabotage import raising, run, sabotage

PID = text("SELECT pg_backend_pid()")


@pytest.fixture
async def service(proxy: Proxy) -> AsyncIterator[AsyncEngine]:
    """The service's engine, behind the proxy."""
    engine = create_engine(proxy.url, pool_size=1)
    yield engine
    await engine.dispose()


async def test_good_batch_is_one_statement_without_begin(
    service: AsyncEngine, proxy: Proxy, engine: AsyncEngine
) -> None:
    async with committing(service) as committer:
        assert await committer.commit([record("m")]) == [STORED]
        begun: list[str] = []
        proxy.before(b"BEGIN", lambda: begun.append("BEGIN"))

        assert await committer.commit([*records(3)]) == [STORED] * 3
        assert begun == []

        await committer.commit([record("n"), rejection()])
        assert begun == ["BEGIN"]
    assert await counts(engine) == (5, 5, 1)


async def test_failed_quarantine_of_conflict_keeps_outcomes_of_neighbours(
    engine: AsyncEngine,
) -> None:
    await save(engine, record("taken", plan="a"))
    await sabotage(engine, raising("40001"), table="rejected_events")

    outcomes = await commit(
        engine, record("new"), record("taken", plan="b"), record("taken", plan="a"),
        timeout_s=0.2,
    )  # fmt: skip

    assert outcomes == [STORED, None, DUPLICATE]
    assert await counts(engine) == (2, 2, 0)


async def test_retried_quarantine_of_conflict_keeps_outcomes_of_neighbours(
    engine: AsyncEngine,
) -> None:
    await save(engine, record("taken", plan="a"))
    await run(engine, "CREATE SEQUENCE tries")  # is not rolled back
    await sabotage(
        engine,
        f"IF nextval('tries') <= 2 THEN {raising('40001')}; END IF",
        table="rejected_events",
    )

    outcomes = await commit(engine, record("new"), record("taken", plan="b"))

    assert outcomes == [STORED, CONFLICT]
    assert await counts(engine) == (2, 2, 1)


async def test_rejection_that_fails_with_its_batch_stores_nothing_and_is_retried(
    engine: AsyncEngine,
) -> None:
    await run(engine, "CREATE SEQUENCE tries")
    await sabotage(
        engine,
        f"IF nextval('tries') <= 2 THEN {raising('40001')}; END IF",
        table="rejected_events",
    )

    outcomes = await commit(engine, record("new"), rejection())

    assert outcomes[0] == STORED
    assert await counts(engine) == (1, 1, 1)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_lost_connection_after_the_claim_keeps_stored_events(
    service: AsyncEngine, proxy: Proxy, engine: AsyncEngine, when: str
) -> None:
    await save(engine, record("old", plan="a"))
    getattr(proxy, when)(b"erased_at", proxy.cut)

    outcomes = await commit(
        service, record("new"), record("old", plan="a"), record("old", plan="b")
    )

    assert outcomes == [STORED, DUPLICATE, CONFLICT]
    assert await counts(engine) == (2, 2, 1)


async def test_data_error_keeps_the_connection_and_failure_replaces_it(
    engine: AsyncEngine, database_url: str
) -> None:
    await run(engine, "ALTER TABLE events ADD CHECK (user_id <> 'user-0')")
    single = create_engine(database_url, pool_size=1)

    async def pid() -> object:
        async with single.connect() as connection:
            return await connection.scalar(PID)

    async with committing(single) as committer:
        await committer.commit([record("m")])
        await committer.release()
        first = await pid()
        [poison, good] = await committer.commit([*records(2)])
        assert poison is not None
        assert (poison.status, good) == ("rejected", STORED)
        await committer.release()
        assert await pid() == first
        await committer.commit([record("n")])
        await run(engine, f"SELECT pg_terminate_backend({first})")
        assert await committer.commit([record("o")]) == [STORED]
        await committer.release()
        assert await pid() != first
    await single.dispose()


def test_known_id_without_a_claim_is_not_confirmed() -> None:
    gone, erased, other = (record(message_id) for message_id in "abc")
    claims = {erased.id: Claim(b"", is_erased=True)}

    outcomes = resolve_outcomes(
        [gone, erased, other, other], {gone.id, erased.id}, claims
    )

    assert outcomes[0] is None
    assert outcomes[1] is not None
    assert outcomes[1].status == "rejected"
    assert outcomes[2:] == [STORED, DUPLICATE]

"""Sessions that store the same ids at the same time, held in step by locks."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.pipeline.outcome import Entry, Outcome
from app.pipeline.record import Record
from app.store.engine import create_engine
from app.store.operator.causes import sqlstate_of
from app.store.write.insert import CONFLICT, DUPLICATE, STORED
from tests.support.limits import PATIENCE_S
from tests.support.postgres.patient import patient_engine
from tests.support.postgres.proxy import Proxy
from tests.support.store.entries import commit, counts, record, rejection, save, store
from tests.support.store.sabotage import run, sabotage

WAITING = text("""
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
""")
IDS = [str(UUID(int=number)) for number in (1, 2, 3)]
GATE = 1

Workers = tuple[AsyncEngine, AsyncEngine]
Insert = Callable[[AsyncEngine, Sequence[str]], Awaitable[None]]


@pytest.fixture
async def workers(database_url: str, engine: AsyncEngine) -> AsyncIterator[Workers]:
    """Engines of two processes, as it were; a deadlock is soon noticed."""
    await set_default(engine, "deadlock_timeout", "20ms")
    first, second = (
        create_engine(
            database_url,
            pool_size=8,
            pool_timeout_s=PATIENCE_S,
            command_timeout_s=PATIENCE_S,
        )
        for _ in range(2)
    )
    yield first, second
    await first.dispose()
    await second.dispose()


async def set_default(engine: AsyncEngine, name: str, value: str) -> None:
    """Give a setting to every session that begins from now on."""
    await run(
        engine,
        "DO $do$ BEGIN EXECUTE format("
        f"'ALTER DATABASE %I SET {name} = ''{value}''', current_database()); END $do$",
    )


async def wait_for_waiters(engine: AsyncEngine, number: int) -> None:
    """Return once so many sessions wait for a lock; the test's time limit bounds it."""
    async with engine.connect() as connection:
        while await connection.scalar(WAITING) != number:
            await connection.rollback()


@pytest.mark.parametrize(
    ("plan", "ending", "expected"),
    [
        ("a", "commit", DUPLICATE),
        ("b", "commit", CONFLICT),
        ("a", "rollback", STORED),
        ("b", "rollback", STORED),
    ],
)
async def test_second_session_waits_and_answers_from_the_committed_row(
    engine: AsyncEngine, workers: Workers, plan: str, ending: str, expected: Outcome
) -> None:
    async with workers[0].connect() as first:
        await store(first, record("m", plan="a"))
        second = asyncio.create_task(save(workers[1], record("m", plan=plan)))
        await wait_for_waiters(engine, 1)
        await getattr(first, ending)()
        assert await second == [expected]
    assert await counts(engine) == (1, 1, int(expected == CONFLICT))


async def test_id_that_is_freed_after_its_claim_was_refused_is_stored(
    engine: AsyncEngine, proxy: Proxy
) -> None:
    await save(engine, record("m"))
    frozen = asyncio.Event()

    def freeze() -> None:
        proxy.freeze()
        frozen.set()

    async def store_again(service: AsyncEngine) -> list[Outcome]:
        async with service.begin() as connection:
            return await store(connection, record("m"), record("n"))

    service = patient_engine(proxy.url)
    proxy.before(b"erased_at", freeze)
    storing = asyncio.create_task(store_again(service))
    await frozen.wait()
    await run(engine, "DELETE FROM events")
    await run(engine, "DELETE FROM event_ids")
    proxy.thaw()

    assert await storing == [STORED, STORED]
    assert await counts(engine) == (2, 2, 0)
    await service.dispose()


async def test_snapshot_that_is_too_old_to_see_the_other_is_renewed(
    engine: AsyncEngine, workers: Workers
) -> None:
    await set_default(engine, "default_transaction_isolation", "repeatable read")
    async with workers[0].connect() as first:
        await store(first, record("m"))
        second = asyncio.create_task(
            commit(workers[1], record("m"), record("n"), timeout_s=PATIENCE_S)
        )
        await wait_for_waiters(engine, 1)
        await first.commit()
        assert await second == [DUPLICATE, STORED]


async def test_one_of_64_concurrent_events_is_stored(
    engine: AsyncEngine, workers: Workers
) -> None:
    plans = ["a", "b"] * 32

    answers = await asyncio.gather(
        *(
            save(workers[number // 2 % 2], record("m", plan=plan))
            for number, plan in enumerate(plans)
        )
    )

    told = Counter(
        (plan, outcome) for plan, [outcome] in zip(plans, answers, strict=True)
    )
    [winner] = [plan for plan, outcome in told if outcome == STORED]
    loser = "b" if winner == "a" else "a"
    assert told == {
        (winner, STORED): 1,
        (winner, DUPLICATE): 31,
        (loser, CONFLICT): 32,
    }
    assert await counts(engine) == (1, 1, 1)


async def opposed(
    engine: AsyncEngine, workers: Workers, table: str, insert: Insert
) -> list[object]:
    """The results of two sessions that insert the same rows in opposite orders.

    Both are stopped before the middle row. As they come, one then holds the first
    row and the other the third, and each goes on to the row of the other. In sorted
    order the second does not get beyond the first row.
    """
    await sabotage(
        engine,
        f"PERFORM pg_advisory_xact_lock_shared({GATE})",
        table=table,
        when=f"NEW.id = '{IDS[1]}'",
    )
    async with engine.connect() as keeper:
        await keeper.execute(text(f"SELECT pg_advisory_lock({GATE})"))
        both = asyncio.gather(
            insert(workers[0], IDS),
            insert(workers[1], IDS[::-1]),
            return_exceptions=True,
        )
        await wait_for_waiters(engine, 2)
        await keeper.execute(text(f"SELECT pg_advisory_unlock({GATE})"))
        return [*await both]


async def insert_as_they_come(engine: AsyncEngine, ids: Sequence[str]) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO event_ids SELECT unnest(CAST(:ids AS uuid[])), now(), ''"
                " ON CONFLICT DO NOTHING"
            ),
            {"ids": [*ids]},
        )


async def store_records(engine: AsyncEngine, ids: Sequence[str]) -> None:
    await save(engine, *(record()._replace(id=id_) for id_ in ids))


async def store_rejections(engine: AsyncEngine, ids: Sequence[str]) -> None:
    await save(engine, *(replace(rejection(), id=id_) for id_ in ids))


async def test_opposite_orders_would_deadlock(
    engine: AsyncEngine, workers: Workers
) -> None:
    ends = await opposed(engine, workers, "event_ids", insert_as_they_come)
    [error] = [end for end in ends if end is not None]
    assert isinstance(error, DBAPIError)
    assert sqlstate_of(error) == "40P01"


@pytest.mark.parametrize(
    ("table", "insert"),
    [("event_ids", store_records), ("rejected_events", store_rejections)],
)
async def test_opposite_orders_do_not_deadlock(
    engine: AsyncEngine, workers: Workers, table: str, insert: Insert
) -> None:
    assert await opposed(engine, workers, table, insert) == [None, None]


async def test_storm_of_shuffled_batches_ends_without_a_deadlock(
    engine: AsyncEngine, workers: Workers
) -> None:
    dice = random.Random(1)
    entries: list[Entry] = [record(str(number)) for number in range(60)]
    entries += [record(str(number), plan="other") for number in range(10)]
    entries += [rejection(n=number) for number in range(20)]
    batches = [dice.sample(entries, 75) for _ in range(16)]

    answers = await asyncio.gather(
        *(save(workers[number % 2], *batch) for number, batch in enumerate(batches))
    )

    sent = {e.id for batch in batches for e in batch if isinstance(e, Record)}
    assert sum(outcomes.count(STORED) for outcomes in answers) == len(sent)
    assert (await counts(engine))[:2] == (len(sent), len(sent))

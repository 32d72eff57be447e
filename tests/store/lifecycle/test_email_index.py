"""Indexes on email addresses, and on time after a backfill, of closed weeks only."""

import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine

from app.store.lifecycle.email_index import index_closed_weeks
from tests.docs.test_sql_manual import QUERIES
from tests.support.store.entries import record, save
from tests.support.store.rejections import read
from tests.support.store.weeks import fill_week

INDEXED = (
    "SELECT tablename FROM pg_indexes WHERE indexname LIKE '%\\_email\\_idx' ORDER BY 1"
)

BY_TIME = "SELECT tablename FROM pg_indexes WHERE indexname LIKE '%event_timestamp_idx'"
# The new versions of rows lie in the order of the old ones.
HAPPENED = "UPDATE {week} SET \"timestamp\" = now() - {order} * interval '300 days'"


async def test_closed_weeks_are_indexed_once(
    engine: AsyncEngine, database_url: str
) -> None:
    await save(engine, record("today"))
    weeks = [await fill_week(engine, weeks_ago, events=10) for weeks_ago in (3, 1)]

    assert await index_closed_weeks(database_url) == 2
    assert await read(engine, INDEXED) == [(week,) for week in weeks]
    assert await index_closed_weeks(database_url) == 0


async def test_text_longer_than_an_index_entry_is_indexed(
    engine: AsyncEngine, database_url: str
) -> None:
    week = await fill_week(engine, 1, events=10)
    await read(
        engine,
        "UPDATE events SET properties = jsonb_build_object('user_email', (SELECT"
        " string_agg(md5(random()::text), '') FROM generate_series(1, 400)))",
    )
    assert await index_closed_weeks(database_url) == 1
    assert await read(engine, INDEXED) == [(week,)]


async def test_two_processes_index_a_week_once(
    engine: AsyncEngine, database_url: str
) -> None:
    week = await fill_week(engine, 1, events=10)
    both = [index_closed_weeks(database_url) for _ in range(2)]
    assert sum(await asyncio.gather(*both)) == 1
    assert await read(engine, INDEXED) == [(week,)]


async def test_documented_query_uses_the_index(
    engine: AsyncEngine, database_url: str
) -> None:
    week = await fill_week(engine, 2, events=5_000)
    await index_closed_weeks(database_url)
    await read(engine, f"ANALYZE {week}")

    query = QUERIES["A person by email address"]
    plan = await read(engine, f"EXPLAIN {query}")
    assert f"{week}_email_idx" in "\n".join(line for (line,) in plan)


async def test_week_that_is_not_in_order_is_indexed_by_time(
    engine: AsyncEngine, database_url: str
) -> None:
    shuffled, ordered = [
        await fill_week(engine, weeks_ago, events=5_000) for weeks_ago in (3, 2)
    ]
    for week, order in ((shuffled, "random()"), (ordered, "user_id::float / 5000")):
        await read(engine, HAPPENED.format(week=week, order=order))
    assert await index_closed_weeks(database_url) == 2

    by_time = await read(engine, BY_TIME)
    assert by_time == [(shuffled,)]
    plan = await read(engine, f"EXPLAIN {QUERIES['Sign-ups a day']}")
    assert f"{shuffled}_event_timestamp_idx" in "\n".join(line for (line,) in plan)

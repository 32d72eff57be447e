import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.store.tables import events
from app.store.write.partitions import ensure_partitions
from tests.support.postgres.patient import patient_engine

PARTITIONS = text("""
SELECT relname, pg_get_expr(relpartbound, pg_class.oid), obj_description(pg_class.oid)
FROM pg_class JOIN pg_inherits ON inhrelid = pg_class.oid
WHERE inhparent = 'events'::regclass
ORDER BY relname
""")
# The definition of an index, without the name of its table.
INDEXES = text("""
SELECT
    regexp_replace(pg_get_indexdef(indexrelid), '^.* ON (ONLY )?[a-z0-9_.]+ ', ''),
    obj_description(indexrelid),
    indisvalid
FROM pg_index
WHERE indrelid = CAST(:table AS regclass)
ORDER BY 1
""")
COLUMNS = text("""
SELECT
    attname, format_type(atttypid, atttypmod), attnotnull,
    pg_get_expr(adbin, adrelid), col_description(attrelid, attnum)
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = CAST(:table AS regclass) AND attnum > 0
ORDER BY attnum
""")


def monday_of(instant: datetime) -> datetime:
    midnight = instant.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=midnight.weekday())


def name_of(monday: datetime) -> str:
    return f"events_p{monday:%Y%m%d}"


async def this_monday(connection: AsyncConnection) -> datetime:
    """By Postgres's clock, which is the one that partitions go by."""
    return monday_of((await connection.execute(text("SELECT now()"))).scalar_one())


async def ensure(engine: AsyncEngine) -> int:
    async with engine.begin() as connection:
        return await ensure_partitions(connection)


async def drop(engine: AsyncEngine, *weeks_ahead: int) -> None:
    async with engine.begin() as connection:
        monday = await this_monday(connection)
        for weeks in weeks_ahead:
            name = name_of(monday + timedelta(weeks=weeks))
            await connection.execute(text(f"DROP TABLE {name}"))


async def read(
    engine: AsyncEngine, query: Any, **parameters: object
) -> Sequence[tuple[Any, ...]]:
    async with engine.connect() as connection:
        rows = await connection.execute(query, parameters)
        return [tuple(row) for row in rows]


async def insert_event(connection: AsyncConnection, **values: object) -> None:
    row = {
        "id": uuid4(),
        "source": "billing",
        "event": "signed_up",
        "user_id": "u1",
        "timestamp": datetime(2023, 11, 2, tzinfo=UTC),
        "timestamp_raw": "2023-11-02",
        "received_at": datetime(2023, 11, 2, tzinfo=UTC),
        "properties": "{}",
        "context": "{}",
    }
    await connection.execute(events.insert().values(row | values))


async def test_migration_leaves_this_week_and_four_more(
    engine: AsyncEngine,
) -> None:
    async with engine.connect() as connection:
        monday = await this_monday(connection)
    mondays = [monday + timedelta(weeks=weeks) for weeks in range(6)]

    rows = await read(engine, PARTITIONS)

    assert [row[0] for row in rows] == [name_of(monday) for monday in mondays[:5]]
    for (_, bounds, _), start, end in zip(rows, mondays, mondays[1:], strict=False):
        assert bounds == (
            f"FOR VALUES FROM ('{start:%Y-%m-%d} 00:00:00+00')"
            f" TO ('{end:%Y-%m-%d} 00:00:00+00')"
        )


async def test_missing_partitions_are_created_and_existing_ones_kept(
    engine: AsyncEngine,
) -> None:
    before = await read(engine, PARTITIONS)
    assert await ensure(engine) == 0
    await drop(engine, 0, 2)

    assert await ensure(engine) == 2
    assert await ensure(engine) == 0
    assert await read(engine, PARTITIONS) == before


async def test_detached_week_stays_detached_and_the_others_are_made(
    engine: AsyncEngine,
) -> None:
    weeks = [row[0] for row in await read(engine, PARTITIONS)]
    await drop(engine, 3)
    async with engine.begin() as connection:
        await connection.execute(
            text(f"ALTER TABLE events DETACH PARTITION {weeks[2]}")
        )

    assert await ensure(engine) == 1
    left = [row[0] for row in await read(engine, PARTITIONS)]
    assert left == [*weeks[:2], *weeks[3:]]


async def test_more_weeks_can_be_asked_for(engine: AsyncEngine) -> None:
    counts = await read(engine, text("SELECT rollcall_ensure_partitions(10)"))
    assert counts == [(6,)]


@pytest.mark.parametrize("weeks", ["-1", "521", "NULL"])
async def test_senseless_numbers_of_weeks_are_refused(
    engine: AsyncEngine, weeks: str
) -> None:
    with pytest.raises(DBAPIError, match="must be from 0 to 520"):
        await read(engine, text(f"SELECT rollcall_ensure_partitions({weeks})"))


async def test_partition_is_like_its_parent(engine: AsyncEngine) -> None:
    [(name, _, comment), *_] = await read(engine, PARTITIONS)

    assert await read(engine, COLUMNS, table=name) == await read(
        engine, COLUMNS, table="events"
    )
    parents_indexes = await read(engine, INDEXES, table="events")
    assert len(parents_indexes) == 5
    assert await read(engine, INDEXES, table=name) == parents_indexes
    assert "detach" in comment


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"])
async def test_weeks_begin_on_monday_in_utc_wherever_the_session_is(
    engine: AsyncEngine, zone: str
) -> None:
    before = await read(engine, PARTITIONS)
    await drop(engine, 0, 1, 2, 3, 4)

    async with engine.begin() as connection:
        await connection.execute(text(f"SET LOCAL timezone = '{zone}'"))
        assert await ensure_partitions(connection) == 5

    assert await read(engine, PARTITIONS) == before


async def test_racing_sessions_make_each_partition_once(database_url: str) -> None:
    engine = patient_engine(database_url, pool_size=8)
    await drop(engine, 0, 1, 2, 3, 4)

    made = await asyncio.gather(*(ensure(engine) for _ in range(8)))

    assert sorted(made) == [0] * 7 + [5]
    await engine.dispose()


async def test_inserts_and_reads_go_on_while_partitions_are_made(
    engine: AsyncEngine,
) -> None:
    await drop(engine, 4)
    async with engine.begin() as writer:
        await insert_event(writer)
        await writer.execute(text("SELECT count(*) FROM events"))
        # With the writer's transaction open, a stronger lock would time out here.
        assert await ensure(engine) == 1


async def test_event_lands_in_the_week_it_is_stored_in(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        monday = await this_monday(connection)
        last_moment = monday + timedelta(weeks=1, microseconds=-1)
        await insert_event(connection, stored_at=monday)
        await insert_event(connection, stored_at=last_moment)
        await insert_event(connection, stored_at=monday + timedelta(weeks=1))

    rows = await read(
        engine, text("SELECT tableoid::regclass::text FROM events ORDER BY stored_at")
    )
    this_week, next_week = name_of(monday), name_of(monday + timedelta(weeks=1))
    assert rows == [(this_week,), (this_week,), (next_week,)]


async def test_missing_partition_is_an_error_that_making_it_mends(
    engine: AsyncEngine,
) -> None:
    await drop(engine, 0)
    with pytest.raises(DBAPIError, match="no partition of relation"):
        async with engine.begin() as connection:
            await insert_event(connection)

    assert await ensure(engine) == 1
    async with engine.begin() as connection:
        await insert_event(connection)


async def test_foreign_table_cannot_take_the_place_of_a_partition(
    engine: AsyncEngine,
) -> None:
    before = await read(engine, PARTITIONS)
    await drop(engine, 0)

    async with engine.begin() as connection:
        await connection.execute(text("CREATE TEMP TABLE events () ON COMMIT DROP"))
        await connection.execute(text("CREATE SCHEMA evil"))
        await connection.execute(
            text(
                "CREATE FUNCTION evil.date_trunc(text, timestamptz)"
                " RETURNS timestamptz RETURN '2000-01-03'::timestamptz"
            )
        )
        await connection.execute(text("SET LOCAL search_path = evil, pg_catalog"))
        await connection.execute(text("SELECT public.rollcall_ensure_partitions()"))

    assert await read(engine, PARTITIONS) == before

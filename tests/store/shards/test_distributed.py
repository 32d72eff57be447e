"""The store on a Citus cluster, and the command that distributes it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import SchemaError
from app.pipeline.outcome import Entry, EventStatus
from app.pipeline.persons.person import Person
from app.store.engine import create_engine
from app.store.journal.inspection import drain_free
from app.store.journal.journal import Journal, prepare
from app.store.lifecycle.erasure import erase_person
from app.store.lifecycle.retention import Limit, expire_events, expired_weeks
from app.store.migrations import drop_empty_weeks
from app.store.quarantine.caps import Quarantine
from app.store.quarantine.replay import Replayed, replay
from app.store.read.filters import RejectedFilter
from app.store.shards.buckets import Buckets, read_buckets
from app.store.shards.distribute import distribute
from app.store.shards.settings import prepare_shards
from app.store.tables import event_ids, events
from app.store.transaction import driver_in_transaction
from app.store.write.insert import (
    CONFLICT,
    DUPLICATE,
    REFUSED_AS_ERASED,
    STORED,
)
from app.store.write.undo import undo_import
from tests.support.limits import PATIENCE_S
from tests.support.pipeline.verdicts import POLICY, signed_up_with
from tests.support.postgres.citus import BUCKETS, undistributed_database
from tests.support.store.entries import (
    committing,
    counts,
    record,
    records,
    rejection,
    rows,
    save,
)
from tests.support.store.rejections import rejection as quarantined
from tests.support.store.weeks import PARTITION, THIS_MONDAY

SETTINGS = """
SELECT concat_ws(' ',
    current_setting('synchronous_commit'), current_setting('TimeZone'),
    current_setting('lock_timeout'), current_setting('statement_timeout')
) FROM event_ids WHERE bucket = :bucket LIMIT 1
"""


@pytest.fixture
async def engine(citus_database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(citus_database_url)
    yield engine
    await engine.dispose()


async def buckets_of(engine: AsyncEngine) -> Buckets:
    async with engine.connect() as connection:
        return await read_buckets(connection)


async def age(engine: AsyncEngine, *, weeks: int) -> str:
    """Move all events to an old week; returns the name of its partition."""
    monday = THIS_MONDAY - timedelta(weeks=weeks)
    names = ", ".join(f'"{column.name}"' for column in events.c)
    aged = names.replace('"stored_at"', f"'{monday}'::timestamptz")
    end = monday + timedelta(weeks=1)
    async with engine.begin() as connection:
        await connection.execute(text(PARTITION.format(monday=monday, end=end)))
        await connection.execute(
            text(f"INSERT INTO events ({names}) SELECT {aged} FROM events")
        )
        await connection.execute(events.delete().where(events.c.stored_at > end))
    return f"events_p{monday:%Y%m%d}"


async def test_server_without_citus_is_refused(database_url: str) -> None:
    with pytest.raises(SchemaError, match="no extension citus"):
        await distribute(database_url, count=BUCKETS)


async def test_database_is_distributed_once_and_only_while_it_is_empty() -> None:
    async with undistributed_database() as url:
        engine = create_engine(url)
        assert await save(engine, record("a")) == [STORED]
        with pytest.raises(SchemaError, match="stored already"):
            await distribute(url, count=BUCKETS)
        async with engine.begin() as connection:
            await connection.execute(events.delete())
            await connection.execute(event_ids.delete())
        await engine.dispose()

        assert await distribute(url, count=BUCKETS) == 2
        engine = create_engine(url)
        buckets = await buckets_of(engine)
        assert len(buckets.numbers) == BUCKETS
        async with engine.connect() as connection:
            shards = await connection.scalars(
                text(
                    "SELECT get_shard_id_for_distribution_column('events', bucket)"
                    " FROM buckets"
                )
            )
            assert len(set(shards)) == BUCKETS
        await engine.dispose()
        with pytest.raises(SchemaError, match="4 buckets already"):
            await distribute(url, count=8)


async def test_events_are_stored_once_in_the_bucket_of_their_user(
    engine: AsyncEngine,
) -> None:
    buckets = await buckets_of(engine)
    entries: list[Entry] = [*records(40), rejection(), record("m", plan="a")]
    outcomes = await save(engine, *entries)
    assert [outcome.status for outcome in outcomes].count(EventStatus.STORED) == 41
    again = await save(engine, *entries, record("m", plan="b"))
    assert [o for o in again if o == DUPLICATE] == [DUPLICATE] * 41
    assert again[-1] == CONFLICT._replace(kept=True)
    assert await counts(engine) == (41, 41, 2)
    for row in await rows(engine, events):
        assert row.bucket == buckets.of(row.user_id)
    ids = {row.id: row.bucket for row in await rows(engine, event_ids)}
    assert ids == {row.id: row.bucket for row in await rows(engine, events)}


async def test_rivals_store_each_event_once(citus_database_url: str) -> None:
    engines = [create_engine(citus_database_url) for _ in range(4)]
    buckets = await buckets_of(engines[0])

    async def store(engine: AsyncEngine) -> list[object]:
        async with committing(engine, timeout_s=30, buckets=buckets) as committer:
            return [*await committer.commit([*records(60)])]

    answers = await asyncio.gather(*(store(engine) for engine in engines))
    flat = [outcome for outcomes in answers for outcome in outcomes]
    assert (flat.count(STORED), flat.count(DUPLICATE)) == (60, 180)
    assert await counts(engines[0]) == (60, 60, 0)
    for engine in engines:
        await engine.dispose()


async def test_refused_event_harms_no_other(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "ALTER TABLE events ADD CONSTRAINT no_poison"
                " CHECK (NOT properties ? 'poison')"
            )
        )
    poison = record(user_id="user-3", poison=1)
    outcomes = await save(engine, *records(9), poison)
    assert outcomes[:9] == [STORED] * 9
    assert outcomes[9].status == "rejected"
    assert await counts(engine) == (9, 9, 1)


async def test_missing_partition_is_made(engine: AsyncEngine) -> None:
    week = f"events_p{THIS_MONDAY:%Y%m%d}"
    async with engine.begin() as connection:
        await connection.execute(text(f"ALTER TABLE events DETACH PARTITION {week}"))
        await connection.execute(text(f"DROP TABLE {week}"))
    assert await save(engine, *records(3)) == [STORED] * 3
    assert await counts(engine) == (3, 3, 0)


async def test_settings_reach_the_workers(engine: AsyncEngine) -> None:
    await save(engine, record("a"))
    buckets = await buckets_of(engine)
    [row] = await rows(engine, events)

    async def ask(*, passed_on: bool) -> object:
        async with engine.begin() as connection:
            if passed_on:
                driver = await driver_in_transaction(connection)
                await prepare_shards(driver, buckets)
            return await connection.scalar(text(SETTINGS), {"bucket": row.bucket})

    assert await ask(passed_on=True) == "on UTC 1500ms 1800ms"
    assert await ask(passed_on=False) != "on UTC 1500ms 1800ms"


async def test_rejected_events_are_replayed_into_their_buckets(
    engine: AsyncEngine,
) -> None:
    waiting = [
        quarantined(signed_up_with(user_id=f"user-{n}", message_id=f"m{n}"))
        for n in range(12)
    ]
    await save(engine, *waiting)
    batches: list[Replayed] = []
    await replay(
        engine, RejectedFilter(), policy=POLICY, actor="a", report=batches.append
    )
    assert sum(batch.stored for batch in batches) == 12
    assert await counts(engine) == (12, 12, 0)


async def test_person_is_erased_for_good(
    engine: AsyncEngine, citus_database_url: str
) -> None:
    own = [record(f"m{n}", user_id="person-1") for n in range(3)]
    await save(engine, *own, *records(5))
    await erase_person(
        citus_database_url,
        Person("person-1", []),
        redact=True,
        actor="test",
    )
    assert await counts(engine) == (5, 8, 0)
    again = await save(engine, *own)
    assert again == [REFUSED_AS_ERASED] * 3


async def test_retention_deletes_events_with_their_ids(
    engine: AsyncEngine, citus_database_url: str
) -> None:
    old = [record(f"m{n}", user_id=f"user-{n}") for n in range(20)]
    await save(engine, *old)
    name = await age(engine, weeks=8)
    now = datetime.now(UTC)
    async with engine.begin() as connection:
        [week] = await expired_weeks(connection, limit=Limit(14), now=now)
    assert week.events == 20
    told: list[tuple[str, int]] = []
    deleted = await expire_events(
        engine, limit=Limit(14), actor="a", report=lambda p, e, _: told.append((p, e))
    )
    assert deleted == 20
    assert told == [(name, 20)]
    assert await counts(engine) == (0, 0, 0)
    assert await drop_empty_weeks(citus_database_url) == [name]


async def test_import_is_undone(engine: AsyncEngine) -> None:
    import_id = uuid4()
    await save(engine, *records(30), import_id=import_id)
    await save(engine, record("stays"))
    await undo_import(engine, import_id, actor="cli:ann", report=lambda _: None)
    assert await counts(engine) == (1, 1, 0)


async def test_journals_are_drained_from_all_buckets(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    directory = tmp_path / "journal"
    bodies = [records(10), [record("a")]]
    for place, entries in zip((directory, directory / "bucket-3"), bodies, strict=True):
        prepare(place)
        journal = Journal(place, max_bytes=1024**2)
        assert await journal.append([entries]) == [True]
        await journal.close()
    drained = await drain_free(
        engine, directory, timeout_s=PATIENCE_S, quarantine=Quarantine()
    )
    assert drained == (2, 11, 0)
    assert await counts(engine) == (11, 11, 0)

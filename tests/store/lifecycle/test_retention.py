"""Retention: expired weeks are emptied, their ids forgotten, everything else stays."""

import asyncio
from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest
import typer
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner, Result

from app.cli.retention import retention
from app.store.lifecycle import retention as lifecycle
from app.store.lifecycle.retention import Limit, expire_events, expired_weeks
from app.store.migrations import drop_empty_weeks
from app.store.transaction import driver_of
from migrations.statements import read_script
from tests.support.store.entries import record, save
from tests.support.store.rejections import count, read
from tests.support.store.weeks import EVENTS, NOW, THIS_MONDAY, fill_week

LIMIT = Limit(21)


AUDITED = """
SELECT action, actor, subject, details ->> 'events' FROM audit_log ORDER BY id
"""
SPREAD = """
INSERT INTO buckets VALUES (1), (2);
UPDATE events SET bucket = 2 WHERE user_id LIKE '1%';
UPDATE event_ids SET bucket = events.bucket FROM events
WHERE events.id = event_ids.id;
"""
expire = partial(expire_events, limit=LIMIT, actor="service")


def nothing(_partition: str, _events: int, _seconds: float) -> None:
    """Report to nobody."""


async def test_expired_weeks_are_emptied_and_younger_ones_stay(
    engine: AsyncEngine,
) -> None:
    oldest, old = [await fill_week(engine, weeks) for weeks in (6, 5)]
    await fill_week(engine, 2)
    await save(engine, record("today"))
    deleted: list[tuple[str, int]] = []

    def report(partition: str, events: int, _: float) -> None:
        deleted.append((partition, events))

    assert await expire(engine, report=report) == 2 * EVENTS
    assert deleted == [(oldest, EVENTS), (old, EVENTS)]
    assert await count(engine, "events") == await count(engine, "event_ids")
    assert await count(engine, "events") == EVENTS + 1
    audited = await read(engine, AUDITED)
    assert audited == [
        ("retention.begin", "service", oldest, None),
        ("retention", "service", oldest, str(EVENTS)),
        ("retention.begin", "service", old, None),
        ("retention", "service", old, str(EVENTS)),
    ]
    assert await expire(engine, report=report) == 0
    assert await read(engine, AUDITED) == audited


async def test_expired_event_that_is_sent_again_is_stored_again(
    engine: AsyncEngine,
) -> None:
    await save(engine, record("m1"))
    partition = await fill_week(engine, 5, events=0)
    monday = THIS_MONDAY - timedelta(weeks=5)
    async with engine.begin() as connection:
        for statement in (
            "UPDATE events SET stored_at = :at",
            "UPDATE event_ids SET stored_at = :at",
        ):
            await connection.execute(
                text(statement), {"at": monday + timedelta(days=3)}
            )

    [again] = await save(engine, record("m1"))
    assert again.status == "duplicate"
    assert await expire(engine, report=nothing) == 1
    [again] = await save(engine, record("m1"))
    assert again.status == "stored"
    assert await count(engine, partition) == 0


async def test_id_of_an_erased_event_stays(engine: AsyncEngine) -> None:
    await fill_week(engine, 5)
    async with engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO event_ids VALUES (:id, :at, 'x', 0, now())"),
            {"id": uuid4(), "at": THIS_MONDAY - timedelta(weeks=5)},
        )

    await expire(engine, report=nothing)
    assert await count(engine, "event_ids") == 1


async def test_by_event_time_only_older_events_of_any_week_are_deleted(
    engine: AsyncEngine,
) -> None:
    await fill_week(engine, 5)
    await save(engine, record("backfilled"), record("also backfilled", user_id="u2"))
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE events SET \"timestamp\" = now() WHERE user_id <> 'u2'")
        )

    limit = Limit(300, "timestamp")
    assert await expire(engine, limit=limit, report=nothing) == 1
    assert await count(engine, "events") == EVENTS + 1
    assert await count(engine, "event_ids") == EVENTS + 1


async def test_buckets_are_emptied_one_after_the_other(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Citus, whose functions work on a single server, too."""
    monkeypatch.setattr(lifecycle, "_EVENTS", EVENTS // 5)
    await save(engine, record("today"))
    partition = await fill_week(engine, 5)
    async with engine.begin() as connection:
        driver = await driver_of(connection)
        await driver.execute(read_script("functions/rollcall_expire_bucket_v1.sql"))
        await driver.execute(SPREAD)

    assert await expire(engine, report=nothing) == EVENTS
    assert await count(engine, "events") == await count(engine, "event_ids") == 1
    assert await read(engine, AUDITED) == [
        ("retention.begin", "service", partition, None),
        ("retention", "service", partition, str(EVENTS)),
    ]
    assert await expire(engine, report=nothing) == 0


async def test_only_the_holder_of_the_lease_deletes(engine: AsyncEngine) -> None:
    await fill_week(engine, 5)
    async with engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO leases VALUES ('retention', 'x', now() + interval '9s')")
        )

    assert await expire(engine, report=nothing) is None
    assert await count(engine, "events") == EVENTS
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE leases SET expires_at = now() - interval '1s'")
        )
    assert await expire(engine, report=nothing) == EVENTS
    assert await count(engine, "leases") == 0


async def test_interrupted_run_is_continued_by_the_next(engine: AsyncEngine) -> None:
    partition = await fill_week(engine, 5, events=3_000)
    running = asyncio.create_task(expire(engine, report=nothing))
    while not (left := await count(engine, "events")) < 3_000:
        assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    left = await count(engine, "events")
    assert left > 0
    begun = ("retention.begin", "service", partition, None)
    assert await read(engine, AUDITED) == [begun]
    assert await count(engine, "event_ids") == left
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE leases SET expires_at = now() - interval '1s'")
        )
    assert await expire(engine, report=nothing) == left
    assert await count(engine, partition) == 0
    ended = ("retention", "service", partition, str(left))
    assert await read(engine, AUDITED) == [begun, begun, ended]


async def test_expired_weeks_are_counted_before_they_are_deleted(
    engine: AsyncEngine,
) -> None:
    await fill_week(engine, 5)
    async with engine.connect() as connection:
        [week] = await expired_weeks(connection, limit=LIMIT, now=NOW)
    assert (week.monday, week.events) == (THIS_MONDAY - timedelta(weeks=5), EVENTS)


@pytest.mark.parametrize(
    "arguments",
    ["'event_ids', 0, 1", "'events_p20200106', 0, 1", "'pg_class', 0, 1, now()"],
)
async def test_function_refuses_other_tables(
    engine: AsyncEngine, arguments: str
) -> None:
    async with engine.begin() as connection:
        with pytest.raises(DBAPIError, match="is not a partition of events"):
            await connection.execute(
                text(f"SELECT rollcall_expire_events({arguments})")
            )


async def test_function_refuses_a_week_that_is_not_closed(
    engine: AsyncEngine,
) -> None:
    this_week = f"SELECT rollcall_expire_events('events_p{THIS_MONDAY:%Y%m%d}', 0, 1)"
    async with engine.begin() as connection:
        with pytest.raises(DBAPIError, match="is not closed"):
            await connection.execute(text(this_week))


async def test_function_refuses_a_limit_of_less_than_a_day(
    engine: AsyncEngine,
) -> None:
    call = "SELECT rollcall_expire_events('{}', 0, 1, now() - interval '{}')"
    partition = await fill_week(engine, 5)
    async with engine.begin() as connection:
        await connection.execute(text(call.format(partition, "24h")))
        with pytest.raises(DBAPIError, match="is less than a day ago"):
            await connection.execute(text(call.format(partition, "22h")))


async def test_migrate_drops_empty_past_weeks_only(
    engine: AsyncEngine, database_url: str
) -> None:
    emptied = await fill_week(engine, 6, events=0)
    await fill_week(engine, 5)
    weeks = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass"
    [(before,)] = await read(engine, weeks)

    assert await drop_empty_weeks(database_url) == [emptied]
    assert await read(engine, weeks) == [(before - 1,)]
    assert await drop_empty_weeks(database_url) == []


def run(database_url: str, *arguments: str) -> Result:
    app = typer.Typer()
    app.command()(retention)
    return CliRunner().invoke(
        app, arguments, env={"ROLLCALL_DATABASE_URL": database_url}
    )


async def test_command_counts_then_deletes(
    engine: AsyncEngine, database_url: str
) -> None:
    await fill_week(engine, 5)
    invoke = partial(asyncio.to_thread, run, database_url)

    counted = await invoke("--days", "21", "--dry-run")
    monday = THIS_MONDAY - timedelta(weeks=5)
    assert counted.stdout == f"{monday:%Y-%m-%d}\t{EVENTS}\n"
    assert await count(engine, "events") == EVENTS
    deleted = await invoke("--days", "21")
    assert f"{EVENTS} events deleted." in deleted.stderr
    assert await count(engine, "events") == 0

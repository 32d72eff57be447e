"""Polls for arrivals: each event once, however late its commit."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.request_errors import UnavailableError
from app.store.read.arrivals import COUNT, HISTORY, POLL, Arrivals
from tests.support.limits import PATIENCE_S
from tests.support.pipeline.verdicts import rejected
from tests.support.store.entries import record, records, rejection, save, store

EVERYTHING = 1_000
# The watermark stays before everything that a test stores.
LONG_S = 600.0
PUT_BACK = """
UPDATE events SET stored_at = now() - make_interval(secs => {seconds})
WHERE user_id = '{user_id}'
"""
MANY_WEEKS = """
INSERT INTO events (
    id, source, event, user_id, "timestamp", timestamp_raw, received_at, stored_at,
    properties, context
)
SELECT
    gen_random_uuid(), 'billing', 'signed_up', 'u' || n, now(), '', now(),
    date_trunc('week', now()) + n % 5 * interval '7 days' + n * interval '1 second',
    '{}', '{}'
FROM generate_series(1, 2000) AS n
"""


@pytest.fixture
def arrivals(engine: AsyncEngine) -> Arrivals:
    return Arrivals(engine, watermark_lag_s=LONG_S, timeout_s=PATIENCE_S)


def users(found: Iterable[Any]) -> list[str]:
    return sorted(arrival.user_id for arrival in found)


async def poll(arrivals: Arrivals, limit: int = EVERYTHING) -> list[str]:
    return users((await arrivals.poll(limit=limit)).arrivals)


async def test_poll_reports_each_event_once(
    engine: AsyncEngine, arrivals: Arrivals
) -> None:
    await save(engine, record(user_id="a"), rejection(user_id="b"))
    assert await poll(arrivals) == ["a", "b"]
    await save(engine, record(user_id="c"), rejection(user_id="d"))
    assert await poll(arrivals) == ["c", "d"]
    assert await poll(arrivals) == []


async def test_poll_reports_late_commit_once(
    engine: AsyncEngine, arrivals: Arrivals
) -> None:
    async with engine.connect() as late:
        async with late.begin():
            await store(late, record(user_id="early"))
            await save(engine, record(user_id="later"))
            assert await poll(arrivals) == ["later"]
        assert await poll(arrivals) == ["early"]
    assert await poll(arrivals) == []


async def test_poll_waits_for_a_transaction_that_outlasts_the_lag(
    engine: AsyncEngine,
) -> None:
    arrivals = Arrivals(engine, watermark_lag_s=0, timeout_s=PATIENCE_S)
    await arrivals.poll(limit=EVERYTHING)
    async with engine.connect() as late:
        async with late.begin():
            await store(late, record(user_id="early"))
            await save(engine, record(user_id="later"))
            running = await arrivals.poll(limit=EVERYTHING)
            assert users(running.arrivals) == ["later"]
            assert running.minutes == {}
        ended = await arrivals.poll(limit=EVERYTHING)
    assert users(ended.arrivals) == ["early"]
    assert sum(counts.stored for counts in ended.minutes.values()) == 2
    assert ended.skipped == 0


async def test_poll_reports_both_events_of_one_instant(
    engine: AsyncEngine, arrivals: Arrivals
) -> None:
    await save(engine, record(user_id="a"))
    assert await poll(arrivals) == ["a"]
    await save(engine, record(user_id="b"))
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE events SET stored_at = (SELECT min(stored_at) FROM events)")
        )
    assert await poll(arrivals) == ["b"]


async def test_poll_with_limit_reports_newest_first_and_others_later(
    engine: AsyncEngine, arrivals: Arrivals
) -> None:
    for entry in records(5):
        await save(engine, entry)
    found = [await poll(arrivals, limit=2) for _ in range(4)]
    assert found == [["user-3", "user-4"], ["user-1", "user-2"], ["user-0"], []]


async def test_poll_counts_events_and_skipped_ones(
    engine: AsyncEngine,
) -> None:
    arrivals = Arrivals(engine, watermark_lag_s=0, timeout_s=PATIENCE_S)
    await arrivals.poll(limit=0)
    await save(engine, *records(5), rejection())
    found = await arrivals.poll(limit=2)
    assert sum(counts.stored for counts in found.minutes.values()) == 5
    assert sum(counts.rejected for counts in found.minutes.values()) == 1
    assert len(found.arrivals) == 3
    assert found.skipped == 3
    assert (await arrivals.poll(limit=2)).arrivals == []


async def test_poll_first_reads_last_hour(
    engine: AsyncEngine,
) -> None:
    await save(engine, record(user_id="long-ago"), record(user_id="lately"))
    async with engine.begin() as connection:
        for user_id, seconds in (("long-ago", 3_700), ("lately", 3_500)):
            await connection.execute(
                text(PUT_BACK.format(user_id=user_id, seconds=seconds))
            )
    arrivals = Arrivals(engine, watermark_lag_s=3, timeout_s=PATIENCE_S)
    assert await poll(arrivals) == ["lately"]
    assert await poll(arrivals) == []
    arrivals.reset()
    assert await poll(arrivals) == ["lately"]


async def test_poll_failed_reports_events_next_time(
    engine: AsyncEngine, arrivals: Arrivals
) -> None:
    await arrivals.poll(limit=EVERYTHING)
    await save(engine, record(user_id="a"))
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE events RENAME TO away"))
    with pytest.raises(UnavailableError):
        await arrivals.poll(limit=EVERYTHING)
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE away RENAME TO events"))
    assert await poll(arrivals) == ["a"]


async def test_count_groups_by_minute(engine: AsyncEngine, arrivals: Arrivals) -> None:
    await save(engine, *records(3), rejection())
    now = datetime.now(UTC)
    found = await arrivals.count(now - HISTORY, now + HISTORY)
    assert sum(map(sum, found.values())) == 4
    assert all(minute.second == minute.microsecond == 0 for minute in found)
    assert await arrivals.count(now - 2 * HISTORY, now - HISTORY) == {}


@pytest.mark.parametrize(
    ("sent", "user", "group"),
    [
        ({"userId": "u", "context": {"groupId": 7}}, "u", "7"),
        ({"user_id": True}, None, None),
        ({"user_id": ["u"]}, None, None),
        ({"user_id": "u\0" + "x" * 300}, "u\ufffd" + "x" * 253, None),
        ({"context": {"big": "x" * 9_000}}, None, None),
    ],
)
async def test_poll_rejected_event_has_ids_of_its_payload(
    engine: AsyncEngine,
    arrivals: Arrivals,
    sent: dict[str, Any],
    user: str | None,
    group: str | None,
) -> None:
    event = {"event": "signed_up", "timestamp": "yesterday", **sent}
    await save(engine, rejected(event))
    [found] = (await arrivals.poll(limit=1)).arrivals
    assert (found.user_id, found.group_id) == (user, group)
    assert found.status == "rejected"
    assert found.reason is not None


async def test_poll_deep_values_are_not_compared(
    engine: AsyncEngine, arrivals: Arrivals
) -> None:
    deep = "[" * 900 + "]" * 900
    body = f'{{"user_id": {deep}, "userId": {deep}}}'.encode()
    await save(engine, rejected(body))
    [found] = (await arrivals.poll(limit=1)).arrivals
    assert found.user_id is None


@pytest.mark.parametrize(
    ("query", "table"),
    [
        (POLL.text, "events"),
        (POLL.text, "rejected_events"),
        (COUNT.text, "events"),
    ],
    ids=["stored", "rejected", "count"],
)
async def test_queries_use_index_without_statistics(
    engine: AsyncEngine, query: str, table: str
) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(MANY_WEEKS))
        plan = await plan_of(connection, query)
    assert "stored_at_idx" in plan, plan
    assert f"Seq Scan on {table}" not in plan, plan
    assert "Seq Scan on events_p" not in plan, plan


async def plan_of(connection: AsyncConnection, query: str) -> str:
    """The generic plan, which Postgres uses from the sixth execution on."""
    await connection.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
    types = {"since": "timestamptz", "until": "timestamptz", "seen": "uuid[]"}
    names = [
        name for name in ("since", "until", "seen", "limit") if f":{name}" in query
    ]
    for number, name in enumerate(names, 1):
        query = query.replace(f":{name} ", f"${number} ")
    declared = ", ".join(types.get(name, "integer") for name in names)
    values = {"since": "now()", "until": "now()", "seen": "'{}'", "limit": "10"}
    arguments = ", ".join(values[name] for name in names)
    await connection.execute(text(f"PREPARE polled ({declared}) AS {query}"))
    explain = text(f"EXPLAIN (COSTS OFF) EXECUTE polled ({arguments})")
    return "\n".join(await connection.scalars(explain))

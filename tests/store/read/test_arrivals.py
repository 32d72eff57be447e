"""What is seen of what arrives: each event once, however late its commit."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import UnavailableError
from app.store.engine import create_engine
from app.store.quarantine.caps import Quarantine
from app.store.read.arrivals import COUNT, HISTORY, REJECTED, STORED, Arrivals
from app.store.write.insert import store
from tests.support.entries import record, records, rejection, save
from tests.support.pipeline import rejected

EVERYTHING = 1_000
# Nothing settles while a test looks.
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
    return Arrivals(engine, settle_s=LONG_S, timeout_s=20)


def users(found: Iterable[Any]) -> list[str]:
    return sorted(arrival.user_id for arrival in found)


async def look(arrivals: Arrivals, limit: int = EVERYTHING) -> list[str]:
    return users((await arrivals.look(limit=limit)).arrivals)


async def test_what_arrives_is_seen_once(
    engine: AsyncEngine, arrivals: Arrivals
) -> None:
    await save(engine, record(user_id="a"), rejection(user_id="b"))
    assert await look(arrivals) == ["a", "b"]
    await save(engine, record(user_id="c"), rejection(user_id="d"))
    assert await look(arrivals) == ["c", "d"]
    assert await look(arrivals) == []


async def test_a_commit_that_comes_late_is_seen_once(
    engine: AsyncEngine, arrivals: Arrivals
) -> None:
    async with engine.connect() as late:
        async with late.begin():
            await store(late, [record(user_id="early")], quarantine=Quarantine())
            await save(engine, record(user_id="later"))
            assert await look(arrivals) == ["later"]
        assert await look(arrivals) == ["early"]
    assert await look(arrivals) == []


async def test_what_is_stored_in_one_moment_by_two_is_seen_of_both(
    engine: AsyncEngine, arrivals: Arrivals
) -> None:
    await save(engine, record(user_id="a"))
    assert await look(arrivals) == ["a"]
    await save(engine, record(user_id="b"))
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE events SET stored_at = (SELECT min(stored_at) FROM events)")
        )
    assert await look(arrivals) == ["b"]


async def test_the_newest_come_first_and_the_rest_later(
    engine: AsyncEngine, arrivals: Arrivals
) -> None:
    for entry in records(5):
        await save(engine, entry)
    found = [await look(arrivals, limit=2) for _ in range(4)]
    assert found == [["user-3", "user-4"], ["user-1", "user-2"], ["user-0"], []]


async def test_what_is_settled_is_counted_and_what_was_not_read_is_told(
    engine: AsyncEngine,
) -> None:
    arrivals = Arrivals(engine, settle_s=0, timeout_s=20)
    await arrivals.look(limit=0)
    await save(engine, *records(5), rejection())
    look = await arrivals.look(limit=2)
    assert sum(counts.stored for counts in look.minutes.values()) == 5
    assert sum(counts.rejected for counts in look.minutes.values()) == 1
    assert len(look.arrivals) == 3
    assert look.unread == 3
    assert (await arrivals.look(limit=2)).arrivals == []


async def test_the_first_look_finds_what_the_last_hour_brought(
    engine: AsyncEngine,
) -> None:
    await save(engine, record(user_id="long-ago"), record(user_id="lately"))
    async with engine.begin() as connection:
        for user_id, seconds in (("long-ago", 3_700), ("lately", 3_500)):
            await connection.execute(
                text(PUT_BACK.format(user_id=user_id, seconds=seconds))
            )
    arrivals = Arrivals(engine, settle_s=3, timeout_s=20)
    assert await look(arrivals) == ["lately"]
    assert await look(arrivals) == []
    arrivals.forget()
    assert await look(arrivals) == ["lately"]


async def test_a_look_that_fails_has_found_nothing(
    database_url: str, engine: AsyncEngine
) -> None:
    hasty = create_engine(database_url, pool_size=1, pool_timeout_s=0.01)
    arrivals = Arrivals(hasty, settle_s=LONG_S, timeout_s=20)
    await arrivals.look(limit=EVERYTHING)
    await save(engine, record(user_id="a"))
    async with hasty.connect():
        with pytest.raises(UnavailableError):
            await arrivals.look(limit=EVERYTHING)
    assert await look(arrivals) == ["a"]
    await hasty.dispose()


async def test_a_span_is_counted_by_the_minute(
    engine: AsyncEngine, arrivals: Arrivals
) -> None:
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
async def test_a_rejected_one_tells_whom_it_is_about_where_it_can(
    engine: AsyncEngine,
    arrivals: Arrivals,
    sent: dict[str, Any],
    user: str | None,
    group: str | None,
) -> None:
    event = {"event": "signed_up", "timestamp": "yesterday", **sent}
    await save(engine, rejected(event))
    [found] = (await arrivals.look(limit=1)).arrivals
    assert (found.user_id, found.group_id) == (user, group)
    assert found.status == "rejected"
    assert found.reason is not None


async def test_two_values_of_any_depth_are_not_compared(
    engine: AsyncEngine, arrivals: Arrivals
) -> None:
    deep = "[" * 900 + "]" * 900
    body = f'{{"user_id": {deep}, "userId": {deep}}}'.encode()
    await save(engine, rejected(body))
    [found] = (await arrivals.look(limit=1)).arrivals
    assert found.user_id is None


@pytest.mark.parametrize(
    ("query", "table"),
    [
        (STORED.text, "events"),
        (REJECTED.text, "rejected_events"),
        (COUNT.text, "events"),
    ],
    ids=["stored", "rejected", "count"],
)
async def test_the_looks_are_served_by_the_index_even_without_statistics(
    engine: AsyncEngine, query: str, table: str
) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(MANY_WEEKS))
        plan = await plan_of(connection, query)
    assert "stored_at_idx" in plan, plan
    assert f"Seq Scan on {table}" not in plan, plan
    assert "Seq Scan on events_p" not in plan, plan


async def plan_of(connection: AsyncConnection, query: str) -> str:
    """As after five times, when Postgres no longer looks at the parameters."""
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
    await connection.execute(text(f"PREPARE look ({declared}) AS {query}"))
    explain = text(f"EXPLAIN (COSTS OFF) EXECUTE look ({arguments})")
    return "\n".join(await connection.scalars(explain))

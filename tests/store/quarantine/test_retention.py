import io
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.components.service import Service
from app.events.catalog import built_in_catalog
from app.logs import RequestLog
from app.metrics.counters import Metrics
from app.request_errors import UnavailableError
from app.settings import Settings
from app.store.quarantine.caps import Quarantine
from app.store.quarantine.retention import expire_rejected
from app.store.service_queries import ServiceQueries
from tests.support.eventually import eventually
from tests.support.limits import PATIENCE_S
from tests.support.store.rejections import commit, count, keep, read, rejection

DAYS = 30
LIMIT = timedelta(days=DAYS)
MOMENT = timedelta(minutes=2)


async def fill(engine: AsyncEngine, *ages: timedelta) -> None:
    """An event and a count of drops of each age."""
    now = datetime.now(UTC)
    rows = [rejection({"n": n}, received_at=now - a) for n, a in enumerate(ages)]
    await commit(engine, *rows)
    await keep(
        engine,
        [rejection({}, received_at=row.received_at) for row in rows],
        Quarantine(max_events=0),
    )


async def expire(engine: AsyncEngine) -> int:
    """Delete expired events; returns the number of rows."""
    queries = ServiceQueries(engine, timeout_s=PATIENCE_S)
    return await queries.expire_rejected(days=DAYS)


async def test_expired_rejections_are_deleted_and_the_rest_stays(
    engine: AsyncEngine,
) -> None:
    await fill(engine, LIMIT - MOMENT, LIMIT + MOMENT, 2 * LIMIT, timedelta())

    assert await expire(engine) == 4
    assert await read(engine, "SELECT payload FROM rejected_events ORDER BY 1") == [
        ('{"n":0}',),
        ('{"n":3}',),
    ]
    assert await count(engine, "rejected_drops") == 2
    assert await expire(engine) == 0


async def test_retention_deletes_in_batches_oldest_first(engine: AsyncEngine) -> None:
    await fill(engine, *(LIMIT + n * MOMENT for n in (1, 2, 3, 4, 5)))

    left = []
    async with engine.connect() as connection:
        while await expire_rejected(connection, days=DAYS, limit=2):
            await connection.commit()
            rows = await read(engine, "SELECT payload FROM rejected_events ORDER BY 1")
            left.append((len(rows), await count(engine, "rejected_drops"), rows[:1]))
    youngest = [('{"n":0}',)]
    assert left == [(3, 3, youngest), (1, 1, youngest), (0, 0, [])]


async def test_retention_continues_until_all_is_deleted(engine: AsyncEngine) -> None:
    drops = (
        "now() - interval '31 days', 'billing', n, 1 FROM generate_series(1, 2500) n"
    )
    await read(engine, f"INSERT INTO rejected_drops SELECT {drops}")

    assert await expire(engine) == 2500


async def test_retention_waits_for_no_lock(engine: AsyncEngine) -> None:
    await fill(engine, 2 * LIMIT, 3 * LIMIT)
    async with engine.begin() as connection:
        for table in ("rejected_events", "rejected_drops"):
            lock = text(f"SELECT 1 FROM {table} LIMIT 1 FOR UPDATE")
            await connection.execute(lock)

        assert await expire(engine) == 2
        assert await count(engine) == await count(engine, "rejected_drops") == 1
    assert await expire(engine) == 2


async def test_writers_wait_for_none_of_it(engine: AsyncEngine) -> None:
    await fill(engine, 2 * LIMIT)
    async with engine.begin() as connection:
        await expire_rejected(connection, days=DAYS)

        [outcome] = await commit(engine, rejection({"n": "new"}))
    assert outcome.kept


async def test_retention_without_a_database_only_warns(
    engine: AsyncEngine,
) -> None:
    await read(engine, "ALTER TABLE rejected_events RENAME TO away")

    with pytest.raises(UnavailableError, match="Expired rejected events"):
        await expire(engine)


async def test_service_runs_the_retention(
    engine: AsyncEngine, database_url: str
) -> None:
    await fill(engine, LIMIT - MOMENT, LIMIT + MOMENT)
    settings = Settings(
        database_url=SecretStr(database_url), quarantine_retention_days=DAYS
    )

    service = Service(
        settings,
        metrics=Metrics(),
        catalog=built_in_catalog(),
        requests=RequestLog(io.BytesIO(), enabled=False),
    )

    async def is_done() -> bool:
        return await count(engine) + await count(engine, "rejected_drops") <= 2

    async with service.running():  # it begins at once
        await eventually(is_done)
    assert await count(engine) == 1

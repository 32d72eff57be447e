"""Polls and exports on a hot standby, which shows everything later."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from app.embedded import Cluster
from app.store.read.arrivals import Arrivals, ReplayedTime
from tests.conftest import OutsideServer
from tests.support.limits import PATIENCE_S
from tests.support.postgres.patient import patient_engine
from tests.support.postgres.standby import (
    pause_replay,
    resume_replay,
    standby_of,
    until_replayed,
)
from tests.support.store.entries import record, save

WATERMARK_LAG_S = 0.2
BEGAN = datetime(2026, 11, 27, tzinfo=UTC)
INSERT = """
INSERT INTO events (
    id, source, event, user_id, "timestamp", timestamp_raw, received_at, stored_at,
    properties, context
) VALUES (gen_random_uuid(), 'billing', 'signed_up', 'long', now(), '', now(), now(),
    '{}', '{}')
"""


@pytest.fixture(scope="module")
def standby(cluster: Cluster | OutsideServer) -> Iterator[Cluster]:
    if isinstance(cluster, OutsideServer):
        pytest.skip("a standby needs the tests' own server")
    with standby_of(cluster) as standby:
        yield standby


@pytest.fixture
async def standby_url(standby: Cluster, database_url: str) -> AsyncIterator[str]:
    await until_replayed(database_url, standby.url("postgres"))
    url = standby.url(str(make_url(database_url).database))
    yield url
    await resume_replay(url)


@pytest.fixture
async def arrivals(standby_url: str) -> AsyncIterator[Arrivals]:
    engine = patient_engine(standby_url)
    yield Arrivals(engine, watermark_lag_s=WATERMARK_LAG_S, timeout_s=PATIENCE_S)
    await engine.dispose()


class Watched:
    """Reports and counts of all polls together."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self.users: list[str | None] = []
        self.counted = 0

    async def poll(self) -> datetime:
        """Poll once; returns the watermark."""
        found = await self._arrivals.poll(limit=1000)
        self.users += [arrival.user_id for arrival in found.arrivals]
        self.counted += sum(map(sum, found.minutes.values()))
        return found.watermark


async def tick(engine: AsyncEngine) -> None:
    """Store an event of its own, which moves the replayed time on."""
    await save(engine, record(uuid4().hex, user_id="tick"))


async def test_poll_of_a_late_standby_reports_and_counts_each_event_once(
    engine: AsyncEngine, database_url: str, standby_url: str, arrivals: Arrivals
) -> None:
    watched = Watched(arrivals)
    await watched.poll()
    await pause_replay(standby_url)
    await save(engine, record(user_id="late"))
    # Longer than the time by which the watermark trails the clock.
    passed = datetime.now(UTC) + timedelta(seconds=2 * WATERMARK_LAG_S)
    while datetime.now(UTC) < passed:
        await watched.poll()
    assert watched.users == []

    await resume_replay(standby_url)
    await until_replayed(database_url, standby_url)
    await save(engine, record(user_id="next"))
    await until_replayed(database_url, standby_url)
    async with asyncio.timeout(PATIENCE_S):
        while watched.counted < 2:
            await tick(engine)
            await watched.poll()
    assert watched.users.count("late") == watched.users.count("next") == 1


async def test_poll_of_a_standby_waits_for_a_long_transaction_of_the_primary(
    engine: AsyncEngine, database_url: str, standby_url: str, arrivals: Arrivals
) -> None:
    watched = Watched(arrivals)
    async with engine.connect() as connection:
        await connection.execute(text(INSERT))
        began: datetime = (await connection.execute(text("SELECT now()"))).scalar_one()
        passed = datetime.now(UTC) + timedelta(seconds=3 * WATERMARK_LAG_S)
        while datetime.now(UTC) < passed:
            await tick(engine)
            await until_replayed(database_url, standby_url)
            assert await watched.poll() < began
        await connection.commit()
    await until_replayed(database_url, standby_url)
    async with asyncio.timeout(PATIENCE_S):
        while await watched.poll() < began:
            await tick(engine)
            await until_replayed(database_url, standby_url)
    assert watched.users.count("long") == 1


def test_replayed_time_is_of_the_last_poll_whose_transactions_have_ended() -> None:
    replayed = ReplayedTime()
    at = [BEGAN + timedelta(seconds=second) for second in range(5)]
    longest = timedelta(minutes=5)
    assert replayed.advance(at[0], xmin=10, xmax=12) == at[0] - longest
    assert replayed.advance(at[1], xmin=11, xmax=14) == at[0] - longest + (
        at[1] - at[0]
    )
    assert replayed.advance(at[2], xmin=12, xmax=20) == at[0]
    assert replayed.advance(at[3], xmin=20, xmax=20) == at[3]
    assert replayed.advance(at[4], xmin=20, xmax=22) == at[3]


def test_replayed_time_waits_for_no_transaction_longer_than_five_minutes() -> None:
    replayed = ReplayedTime()
    replayed.advance(BEGAN, xmin=10, xmax=12)
    late = BEGAN + timedelta(hours=1)
    assert replayed.advance(late, xmin=10, xmax=99) == late - timedelta(minutes=5)

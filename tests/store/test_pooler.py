"""The service's database work through PgBouncer."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import ConfigurationError
from app.request_errors import UnavailableError
from app.store.db_errors import DATABASE_ERRORS
from app.store.dsn import dsn_of, has_pooler, with_pooler
from app.store.engine import create_engine
from app.store.migrations import migrate
from app.store.operator.causes import cause_of
from app.store.service_queries import ServiceQueries
from app.store.transaction import driver_of
from app.store.write.insert import CONFLICT, DUPLICATE, STORED
from tests.support.limits import PATIENCE_S
from tests.support.postgres.pgbouncer import PgBouncer, pgbouncer
from tests.support.store.entries import committing, counts, record, records, rejection
from tests.support.store.sabotage import run, set_read_only

SETTINGS = """
SELECT concat_ws(' ',
    current_setting('synchronous_commit'), current_setting('TimeZone'),
    current_setting('jit'), current_setting('lock_timeout'),
    current_setting('statement_timeout'),
    current_setting('idle_in_transaction_session_timeout')
)
"""
OURS = "on UTC off 1500ms 1800ms 10s"


@pytest.fixture(params=["transaction", "session"])
async def pooler(
    request: pytest.FixtureRequest, database_url: str, engine: AsyncEngine
) -> AsyncIterator[PgBouncer]:
    """A pooler of a database whose own settings are the opposite of ours."""
    for setting in ("synchronous_commit = off", "timezone = 'Asia/Tokyo'"):
        await run(
            engine,
            "DO $do$ BEGIN EXECUTE format('ALTER DATABASE %I SET ' || "
            f"$set${setting}$set$, current_database()); END $do$",
        )
    # When sessions are pooled, each client keeps a server.
    servers = {"transaction": 2, "session": 10}[request.param]
    async with pgbouncer(database_url, mode=request.param, servers=servers) as pooler:
        yield pooler


@pytest.fixture
async def service(pooler: PgBouncer) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(with_pooler(pooler.url))
    yield engine
    await engine.dispose()


async def test_settings_hold_in_every_transaction(service: AsyncEngine) -> None:
    async def ask() -> object:
        async with service.begin() as connection:
            return await connection.scalar(text(SETTINGS))

    assert await asyncio.gather(*(ask() for _ in range(6))) == [OURS] * 6


async def test_statement_of_a_committer_is_durable(
    service: AsyncEngine, engine: AsyncEngine
) -> None:
    await run(
        engine,
        "CREATE TABLE seen (settings text)",
        "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS"
        f" $see$ BEGIN INSERT INTO seen {SETTINGS}; RETURN NEW; END $see$",
        "CREATE TRIGGER see BEFORE INSERT ON event_ids"
        " FOR EACH ROW EXECUTE FUNCTION see()",
    )
    async with committing(service) as committer:
        assert await committer.commit([*records(3)]) == [STORED] * 3
        outcomes = await committer.commit([record("m", plan="a"), rejection()])
        assert outcomes[0] == STORED
    async with engine.connect() as connection:
        seen = await connection.scalars(text("SELECT DISTINCT settings FROM seen"))
        assert seen.all() == [OURS]


async def test_two_instances_store_each_event_once(
    pooler: PgBouncer, engine: AsyncEngine
) -> None:
    services = [create_engine(with_pooler(pooler.url)) for _ in range(2)]

    async def store(number: int) -> list[object]:
        async with committing(services[number % 2], timeout_s=PATIENCE_S) as committer:
            return [*await committer.commit([*records(20), record("m", n=number)])]

    answers = await asyncio.gather(*(store(number) for number in range(6)))

    flat = [outcome for outcomes in answers for outcome in outcomes]
    assert (flat.count(STORED), flat.count(DUPLICATE)) == (21, 100)
    assert flat.count(CONFLICT) == 5
    assert await counts(engine) == (21, 21, 5)
    for service in services:
        await service.dispose()


@pytest.mark.parametrize("accepts_writes", [True, False])
async def test_pooler_of_the_host_that_accepts_writes_is_chosen(
    pooler: PgBouncer, engine: AsyncEngine, *, accepts_writes: bool
) -> None:
    """As with Patroni: one pooler on each database host, and all in the URL."""
    # Before the pooler has any connection, which would keep the setting.
    await set_read_only(engine, "off" if accepts_writes else "on")
    place = make_url(pooler.url).query["host"]
    several = pooler.url.replace(f"host={place}", f"host={place},{place}")
    service = create_engine(with_pooler(several))
    if accepts_writes:
        async with committing(service) as committer:
            assert await committer.commit([record("1")]) == [STORED]
    else:
        with pytest.raises(ConnectionError, match="is read-write"):
            async with service.connect():
                pass
    await service.dispose()


async def test_killed_pooler_is_an_outage_that_ends(
    database_url: str, engine: AsyncEngine
) -> None:
    async with pgbouncer(database_url) as first:
        service = create_engine(with_pooler(first.url))
        async with committing(service, timeout_s=0.3) as committer:
            assert await committer.commit([record("1")]) == [STORED]
            await first.kill()
            assert await committer.commit([record("2")]) == [None]
    await service.dispose()
    assert await counts(engine) == (1, 1, 0)


async def test_pooler_without_the_setting_is_refused_in_one_sentence(
    pooler: PgBouncer,
) -> None:
    service = create_engine(pooler.url)
    with pytest.raises(DATABASE_ERRORS) as caught:
        async with service.connect():
            pass
    assert "ROLLCALL_POOLER=transaction" in cause_of(caught.value).advice
    await service.dispose()


async def test_readiness_needs_durable_commits(database_url: str) -> None:
    """Such as through a pooler that ignores the settings of the login."""
    service = create_engine(with_pooler(database_url), pool_size=1)
    queries = ServiceQueries(service, timeout_s=PATIENCE_S)
    await queries.check_ready()
    async with service.connect() as connection:
        driver = await driver_of(connection)
        driver.begin_settings = "SET LOCAL synchronous_commit = off;"
    with pytest.raises(UnavailableError, match="synchronous_commit is off"):
        await queries.check_ready()
    await service.dispose()


async def test_migrating_needs_a_direct_connection() -> None:
    with pytest.raises(ConfigurationError, match="direct connection"):
        await migrate(with_pooler("postgresql://u:secret@h/d"))


def test_mark_of_a_pooler_stays_with_rollcall() -> None:
    for url in ("postgresql://u@h/d", "postgresql://u@h/d?sslmode=require"):
        marked = with_pooler(url)
        assert with_pooler(marked) == marked
        assert has_pooler(marked)
        assert not has_pooler(url)
        assert dsn_of(marked) == dsn_of(url)

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from operator import methodcaller

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import SchemaError
from app.request_errors import UnavailableError
from app.store.engine import create_engine
from app.store.keys.keys import create_key, hash_key, key_id, revoke_key
from app.store.maintenance import on_own_connection
from app.store.service_queries import ServiceQueries
from app.store.tables import rejected_events
from tests.support.limits import PATIENCE_S
from tests.support.postgres.patient import patient_engine
from tests.support.postgres.proxy import Proxy
from tests.support.store.entries import rejection, rows, save
from tests.support.store.sabotage import (
    drop_partitions,
    end_other_sessions,
    partitions,
    run,
    set_read_only,
)

TIMEOUT_S = 0.2
# Without the limit under test, nothing would end a wait before the engine's own.
GRACE_S = PATIENCE_S / 3
SLOW_DELETION = (
    """
    CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN PERFORM pg_sleep(0.6); RETURN OLD; END'
    """,
    """
    CREATE TRIGGER slow BEFORE DELETE ON rejected_events
    FOR EACH ROW EXECUTE FUNCTION take_time()
    """,
)
ASK: dict[str, Callable[[ServiceQueries], Awaitable[object]]] = {
    "key": lambda lookups: lookups.source_of_key(b"unknown"),
    "reader": lambda lookups: lookups.reader_of_key(b"unknown"),
    "ready": lambda lookups: lookups.check_ready(),
}


@pytest.fixture
async def single(database_url: str) -> AsyncIterator[AsyncEngine]:
    """With one connection, so that one that is not given back is missed at once."""
    engine = patient_engine(database_url, pool_size=1)
    yield engine
    await engine.dispose()


def lookups(engine: AsyncEngine, *, timeout_s: float = PATIENCE_S) -> ServiceQueries:
    return ServiceQueries(engine, timeout_s=timeout_s)


async def assert_unavailable(engine: AsyncEngine, what: str) -> None:
    """It says so, and soon after the time limit."""
    async with asyncio.timeout(TIMEOUT_S + GRACE_S):
        with pytest.raises(UnavailableError) as caught:
            await ASK[what](lookups(engine, timeout_s=TIMEOUT_S))
    assert caught.value.__cause__ is None


async def test_live_key_has_a_source_and_others_have_none(
    engine: AsyncEngine,
) -> None:
    async with engine.begin() as connection:
        live = await create_key(connection, source="billing")
        revoked = await create_key(connection, source="billing")
        await revoke_key(connection, id_=key_id(hash_key(revoked.encode())))
        reads = await create_key(connection, source="ann", scope="read")

    async def source_of(key: str) -> str | None:
        return await lookups(engine).source_of_key(hash_key(key.encode()))

    async def reader_of(key: str) -> str | None:
        found = await lookups(engine).reader_of_key(hash_key(key.encode()))
        return found and found.name

    assert await source_of(live) == "billing"
    assert await source_of(revoked) is None
    assert await source_of("rc_unknown") is None
    assert await source_of(reads) is None
    assert await reader_of(reads) == "ann"
    assert await reader_of(live) is None


@pytest.mark.parametrize(
    ("what", "table"), [("key", "write_keys"), ("ready", "alembic_version")]
)
async def test_locked_table_delays_requests_only_briefly(
    single: AsyncEngine, engine: AsyncEngine, what: str, table: str
) -> None:
    async with engine.begin() as holder:
        await holder.execute(text(f"LOCK TABLE {table}"))
        await assert_unavailable(single, what)
    await ASK[what](lookups(single))


@pytest.mark.parametrize("what", ASK)
async def test_frozen_postgres_delays_requests_only_briefly(
    proxy: Proxy, what: str
) -> None:
    service = patient_engine(proxy.url, pool_size=1)
    await ASK[what](lookups(service))
    proxy.freeze()
    await assert_unavailable(service, what)  # on the pooled connection
    await assert_unavailable(service, what)  # on a new one
    proxy.thaw()
    await ASK[what](lookups(service))
    await service.dispose()


@pytest.mark.parametrize("what", ASK)
async def test_dead_pooled_sessions_are_replaced_unnoticed(
    single: AsyncEngine, engine: AsyncEngine, what: str
) -> None:
    await ASK[what](lookups(single))
    await end_other_sessions(engine)
    await ASK[what](lookups(single))


async def test_repeatedly_lost_session_is_given_up_in_time(proxy: Proxy) -> None:
    def cut_again() -> None:
        proxy.before(b"COMMIT", cut_again)
        proxy.cut()

    cut_again()
    service = create_engine(proxy.url)
    await assert_unavailable(service, "key")
    await service.dispose()


@pytest.mark.parametrize("what", ASK)
async def test_missing_server_is_reported_at_once(
    closed_address: str, what: str
) -> None:
    engine = create_engine(f"postgresql://u@{closed_address}/d")
    await assert_unavailable(engine, what)


async def test_read_only_database_is_not_ready_until_it_is_writable_again(
    single: AsyncEngine, engine: AsyncEngine
) -> None:
    await set_read_only(engine, "on")
    with pytest.raises(UnavailableError, match="read-only"):
        await lookups(single).check_ready()
    await set_read_only(engine, "off")
    await lookups(single).check_ready()


async def test_database_without_the_schema_is_not_ready(
    empty_database_url: str,
) -> None:
    engine = create_engine(empty_database_url)
    with pytest.raises(SchemaError, match="rollcall migrate"):
        await lookups(engine).check_ready()
    await engine.dispose()


async def test_partitions_are_made_and_counted(engine: AsyncEngine) -> None:
    assert await lookups(engine).make_partitions() == 0
    await drop_partitions(engine)
    assert await lookups(engine).make_partitions() == 5
    async with engine.connect() as connection:
        assert len(await partitions(connection)) == 5


async def test_partitions_that_cannot_be_made_are_no_defect(
    engine: AsyncEngine,
) -> None:
    await run(engine, "ALTER FUNCTION rollcall_ensure_partitions RENAME TO away")
    with pytest.raises(UnavailableError, match="partitions"):
        await lookups(engine).make_partitions()


async def test_expired_quarantine_is_deleted_and_the_rest_stays(
    engine: AsyncEngine,
) -> None:
    await save(engine, *(rejection(n=number) for number in range(1_001)))
    await run(
        engine, "UPDATE rejected_events SET received_at = now() - '31 days'::interval"
    )
    young = replace(rejection(), received_at=datetime.now(UTC))
    await save(engine, young)

    assert await lookups(engine).expire_rejected(days=30) == 1_001
    assert [str(row.id) for row in await rows(engine, rejected_events)] == [young.id]


async def test_failed_quarantine_retention_is_not_a_defect(
    engine: AsyncEngine,
) -> None:
    await run(engine, "ALTER TABLE rejected_events RENAME TO away")
    with pytest.raises(UnavailableError, match="Expired"):
        await lookups(engine).expire_rejected(days=30)


async def test_maintenance_has_more_time_than_a_commit(
    engine: AsyncEngine, database_url: str
) -> None:
    old = datetime.now(UTC) - timedelta(days=99)
    await save(engine, replace(rejection(), received_at=old))
    for command in SLOW_DELETION:
        await run(engine, command)
    expire = methodcaller("expire_rejected", days=30)

    hurried = create_engine(database_url, command_timeout_s=0.3)
    with pytest.raises(UnavailableError):
        await expire(lookups(hurried))
    await hurried.dispose()
    assert await on_own_connection(database_url, expire) == 1

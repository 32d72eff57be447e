"""The functions of a distributed database, which an older release has not made."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import SchemaError
from app.store.engine import create_engine
from app.store.operator.checkup import check_database
from app.store.service_queries import ServiceQueries
from app.store.shards.distribute import update_functions
from app.store.write.insert import STORED
from tests.support.limits import PATIENCE_S
from tests.support.postgres.citus import execute
from tests.support.store.entries import records, save

FUNCTIONS = ("rollcall_store_in_bucket", "rollcall_expire_bucket")
DELEGATED = text("""
SELECT count(*) FROM pg_dist_object
WHERE objid = CAST('rollcall_store_in_bucket' AS regproc) AND force_delegation
""")
# A function that is made again is of another transaction.
VERSIONS = text("""
SELECT xmin::text, prosrc FROM pg_proc WHERE proname = ANY(:names) ORDER BY proname
""")


@pytest.fixture
async def engine(citus_database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(citus_database_url)
    yield engine
    await engine.dispose()


@pytest.mark.parametrize("name", FUNCTIONS)
async def test_missing_function_is_reported_and_made(
    citus_database_url: str, engine: AsyncEngine, name: str
) -> None:
    queries = ServiceQueries(engine, timeout_s=PATIENCE_S)
    await execute(citus_database_url, f"DROP FUNCTION {name}")
    with pytest.raises(SchemaError, match=r"lacks the functions.*`rollcall migrate`"):
        await queries.check_ready()
    findings = await check_database(
        engine, is_pooled=False, max_events=1, max_bytes=1 << 20
    )
    [remedy] = [each.remedy for each in findings if each.name == "schema"]
    assert remedy is not None
    assert "rollcall migrate" in remedy

    for _ in range(2):
        await update_functions(citus_database_url)
        await queries.check_ready()
    assert await save(engine, *records(8)) == [STORED] * 8
    async with engine.connect() as connection:
        assert await connection.scalar(DELEGATED) == 1


async def test_function_is_made_again_only_if_it_differs(
    citus_database_url: str, engine: AsyncEngine
) -> None:
    """So that a migration without a change does not need all nodes."""
    made = await read_versions(engine)
    await update_functions(citus_database_url)
    assert await read_versions(engine) == made

    older = (
        f"UPDATE pg_proc SET prosrc = prosrc || '--' WHERE proname = '{FUNCTIONS[0]}'"
    )
    await execute(citus_database_url, older)
    await update_functions(citus_database_url)
    assert [body for _, body in await read_versions(engine)] == [b for _, b in made]


async def test_functions_of_a_newer_release_are_left_alone(
    citus_database_url: str, engine: AsyncEngine
) -> None:
    await execute(
        citus_database_url,
        "UPDATE alembic_version SET version_num = '29990101T0000Z'",
        f"DROP FUNCTION {FUNCTIONS[0]}",
    )
    await update_functions(citus_database_url)
    assert not await has_function(engine)


async def test_single_server_has_no_functions_of_shards(database_url: str) -> None:
    await update_functions(database_url)
    engine = create_engine(database_url)
    await ServiceQueries(engine, timeout_s=PATIENCE_S).check_ready()
    assert not await has_function(engine)
    await engine.dispose()


async def has_function(engine: AsyncEngine) -> bool:
    async with engine.connect() as connection:
        found = await connection.scalar(text(f"SELECT to_regproc('{FUNCTIONS[0]}')"))
        return found is not None


async def read_versions(engine: AsyncEngine) -> list[tuple[str, str]]:
    async with engine.connect() as connection:
        rows = await connection.execute(VERSIONS, {"names": list(FUNCTIONS)})
        return [(row.xmin, row.prosrc) for row in rows]

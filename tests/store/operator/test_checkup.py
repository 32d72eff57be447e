from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.store.instances import Instance, record_instance
from app.store.operator.checkup import Finding, check_database
from tests.support.store.rejections import commit, rejection

ROOMY: dict[str, Any] = {"is_pooled": False, "max_events": 10, "max_bytes": 1 << 20}
DROP_WEEKS_AHEAD = """
DO $$
DECLARE name text;
BEGIN
    FOR name IN
        SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'events'::regclass
            AND to_date(right(relname, 8), 'YYYYMMDD') > now()::date
    LOOP
        EXECUTE format('DROP TABLE %I', name);
    END LOOP;
END $$
"""


async def failures(engine: AsyncEngine, **caps: Any) -> dict[str, Finding]:
    """The findings that need something to be done, by name."""
    findings = await check_database(engine, **ROOMY | caps)
    return {each.name: each for each in findings if each.remedy is not None}


async def execute(engine: AsyncEngine, *statements: str) -> None:
    """The connection is the one that the next check gets."""
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def test_database_in_order_has_no_failures(engine: AsyncEngine) -> None:
    findings = {each.name: each.value for each in await check_database(engine, **ROOMY)}
    assert await failures(engine) == {}
    assert findings["fsync"] == findings["synchronous_commit"] == "on"
    assert findings["pooler"] == "none in transaction mode"
    assert int(findings["weeks ahead"]) >= 3


async def test_missing_weeks_are_found(engine: AsyncEngine) -> None:
    await execute(engine, DROP_WEEKS_AHEAD)
    assert (await failures(engine))["weeks ahead"].value == "0"


async def test_missing_schema_is_found(engine: AsyncEngine) -> None:
    await execute(engine, "ALTER TABLE alembic_version RENAME TO away")
    assert "rollcall migrate" in str((await failures(engine))["schema"].remedy)


async def test_session_that_does_not_wait_for_the_disk_is_found(
    engine: AsyncEngine,
) -> None:
    await execute(engine, "SET synchronous_commit = off")
    assert (await failures(engine))["synchronous_commit"].value == "off"


async def test_session_without_its_settings_is_taken_for_pooled(
    engine: AsyncEngine,
) -> None:
    await execute(engine, "SET application_name = 'pool'")
    assert "pooler" in await failures(engine)
    assert "pooler" not in await failures(engine, is_pooled=True)


@pytest.mark.parametrize("caps", [{"max_events": 2}, {"max_bytes": 1}])
async def test_quarantine_that_is_nearly_full_is_found(
    engine: AsyncEngine, caps: dict[str, int]
) -> None:
    await commit(engine, *(rejection({"n": n}, source="crm") for n in (1, 2)))
    assert "crm" in str((await failures(engine, **caps))["quarantine"].remedy)


async def test_instances_with_different_settings_are_found(engine: AsyncEngine) -> None:
    one = Instance("a:1", "1.0", {"ROLLCALL_RETENTION_DAYS": None})
    other = Instance("b:1", "1.0", {"ROLLCALL_RETENTION_DAYS": 30})
    async with engine.begin() as connection:
        await record_instance(connection, one)
    assert "instances" not in await failures(engine)
    async with engine.begin() as connection:
        await record_instance(connection, other)
    found = (await failures(engine))["instances"]
    assert found.value == "2 running, 1 settings differ"
    assert "ROLLCALL_RETENTION_DAYS is null on a:1; 30 on b:1" in str(found.remedy)

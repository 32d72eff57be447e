import asyncio
import sys
import zipfile
from asyncio.subprocess import PIPE, STDOUT, Process, create_subprocess_exec
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import SchemaError
from app.events.reserved_names import why_reserved
from app.store.engine import create_engine
from app.store.migrations import (
    check_schema,
    known_revisions,
    migrate,
)
from app.store.tables import metadata

ROOT = Path(__file__).resolve().parents[2]
HEAD = max(
    path.name.partition("_")[0] for path in (ROOT / "migrations/versions").glob("*.py")
)
NEWER = "20990101T0000Z"
MIGRATE = """
import asyncio, sys
from app.store import migrations as schema
print(schema.__file__)
asyncio.run(schema.migrate(sys.argv[1]))
"""
COLUMNS = text("""
SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod)
FROM pg_attribute
WHERE attrelid::regclass::text = ANY(:tables) AND attnum > 0
ORDER BY 1, attnum
""")
TABLES = text("""
SELECT relname FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
""")


@pytest.fixture
async def empty(empty_database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(empty_database_url)
    yield engine
    await engine.dispose()


async def set_revision(engine: AsyncEngine, revision: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE alembic_version SET version_num = :revision"),
            {"revision": revision},
        )


async def count_relations(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        result = await connection.execute(
            text(
                "SELECT count(*) FROM pg_class"
                " WHERE relnamespace = 'public'::regnamespace"
            )
        )
        count: int = result.scalar_one()
        return count


async def start_python(
    *arguments: str | Path, cwd: Path = ROOT, database_url: str = ""
) -> Process:
    return await create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=cwd,
        env={"ROLLCALL_DATABASE_URL": database_url},
        stdout=PIPE,
        stderr=STDOUT,
    )


async def test_migrating_brings_an_empty_database_to_the_head(
    empty: AsyncEngine, empty_database_url: str
) -> None:
    assert await migrate(empty_database_url) == (None, HEAD)
    assert await migrate(empty_database_url) == (HEAD, HEAD)
    async with empty.connect() as connection:
        await check_schema(connection)


def test_known_revisions_are_those_of_alembic() -> None:
    scripts = ScriptDirectory(ROOT / "migrations").walk_revisions()
    assert known_revisions() == tuple(script.revision for script in scripts)


async def test_columns_that_the_code_names_are_those_of_the_tables(
    engine: AsyncEngine, empty: AsyncEngine
) -> None:
    named = {"tables": list(metadata.tables)}
    async with engine.connect() as migrated, empty.begin() as created:
        await created.run_sync(metadata.create_all)
        expected = (await migrated.execute(COLUMNS, named)).all()
        assert (await created.execute(COLUMNS, named)).all() == expected
    assert {table for table, *_ in expected} == {*metadata.tables}


async def test_every_table_has_a_reserved_name(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        names = (await connection.scalars(TABLES)).all()
    assert {*metadata.tables} < {*names}
    assert [name for name in names if why_reserved(name) is None] == []


async def test_empty_database_is_refused_with_the_command_to_run(
    empty: AsyncEngine,
) -> None:
    async with empty.connect() as connection:
        with pytest.raises(SchemaError, match=r"no Rollcall schema.*rollcall migrate"):
            await check_schema(connection)


async def test_older_schema_is_refused_with_the_command_to_run(
    engine: AsyncEngine,
) -> None:
    async with engine.connect() as connection:
        await check_schema(connection, known=[HEAD])
        with pytest.raises(SchemaError, match=rf"{HEAD}.*{NEWER}.*rollcall migrate"):
            await check_schema(connection, known=[NEWER, HEAD])


async def test_newer_schema_is_accepted_unchanged(
    engine: AsyncEngine, database_url: str
) -> None:
    await set_revision(engine, NEWER)

    async with engine.connect() as connection:
        await check_schema(connection)
    assert await migrate(database_url) == (NEWER, NEWER)


async def test_version_table_of_another_program_is_refused(
    empty: AsyncEngine, empty_database_url: str
) -> None:
    async with empty.begin() as connection:
        await connection.execute(
            text("CREATE TABLE alembic_version (version_num text)")
        )
        await connection.execute(
            text("INSERT INTO alembic_version VALUES ('27c6a30d')")
        )

    async with empty.connect() as connection:
        with pytest.raises(SchemaError, match=r"27c6a30d.*another program"):
            await check_schema(connection)
    with pytest.raises(SchemaError, match=r"27c6a30d.*another program"):
        await migrate(empty_database_url)


async def test_five_processes_race_and_all_succeed(
    empty: AsyncEngine, empty_database_url: str
) -> None:
    racers = [await start_python("-c", MIGRATE, empty_database_url) for _ in range(5)]

    for racer in racers:
        output, _ = await racer.communicate()
        assert racer.returncode == 0, output
    async with empty.connect() as connection:
        await check_schema(connection)


async def test_killed_migration_is_repeated_by_the_next(
    empty: AsyncEngine, empty_database_url: str
) -> None:
    async with empty.connect() as blocker:
        # The migration has made four tables by the time that it waits for this one.
        await blocker.execute(text("CREATE TABLE rejected_events ()"))
        racer = await start_python("-c", MIGRATE, empty_database_url)
        await wait_for_a_waiter(empty)
        racer.kill()
        await racer.communicate()
        await blocker.rollback()

    assert await count_relations(empty) == 0
    assert await migrate(empty_database_url) == (None, HEAD)


async def test_unavailable_lock_leaves_the_schema_unchanged(
    empty: AsyncEngine, empty_database_url: str
) -> None:
    async with empty.connect() as blocker:
        await blocker.execute(text("CREATE TABLE rejected_events ()"))
        with pytest.raises(SchemaError, match=r"0\.01 s.*rollcall migrate"):
            await migrate(empty_database_url, lock_timeout_s=0.01)
        await blocker.rollback()

    assert await count_relations(empty) == 0


async def test_installed_wheel_brings_its_migrations(
    empty: AsyncEngine, empty_database_url: str, tmp_path: Path
) -> None:
    build = await start_python(
        "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path
    )
    await build.communicate()
    site = tmp_path / "100% installed"
    await asyncio.to_thread(unpack_wheel, tmp_path, site)

    # The working directory comes first on the path, before the checkout.
    migration = await start_python("-c", MIGRATE, empty_database_url, cwd=site)
    output, _ = await migration.communicate()

    assert output.decode().startswith(str(site))
    async with empty.connect() as connection:
        await check_schema(connection)


@pytest.mark.parametrize("arguments", [["upgrade", "head"], ["current"]])
async def test_developers_have_the_alembic_command(
    database_url: str, arguments: list[str]
) -> None:
    run = await start_python("-m", "alembic", *arguments, database_url=database_url)
    output, _ = await run.communicate()

    assert run.returncode == 0, output


async def test_alembic_command_asks_for_a_database() -> None:
    run = await start_python("-m", "alembic", "current", database_url="")
    output, _ = await run.communicate()

    assert run.returncode != 0
    assert b"ConfigurationError: Set ROLLCALL_DATABASE_URL" in output


def unpack_wheel(directory: Path, site: Path) -> None:
    [wheel] = directory.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)


async def wait_for_a_waiter(engine: AsyncEngine) -> None:
    """Return once another session waits for a lock; the test's time limit bounds it."""
    waiters = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with engine.connect() as connection:
        while not await connection.scalar(waiters):
            await connection.rollback()

"""Transient errors are retried within the deadline, and never reject an event."""

import asyncio
import secrets
from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from app.pipeline.outcome import Entry
from app.store.engine import create_engine
from app.store.write.insert import STORED
from tests.conftest import Admin
from tests.support.limits import PATIENCE_S
from tests.support.store.entries import commit, committing, counts, records, rejection
from tests.support.store.sabotage import (
    drop_partitions,
    end_other_sessions,
    mend,
    partitions,
    raising,
    run,
    sabotage,
    set_read_only,
)

REPLACE_ENSURE = """
CREATE OR REPLACE FUNCTION rollcall_ensure_partitions(weeks_ahead integer DEFAULT 4)
RETURNS integer LANGUAGE plpgsql AS 'BEGIN {body}; END'
"""
# Each of its own kind; test_failures.py has more of them.
FAULTS = [
    *("23505", "25006", "40001", "40P01", "42P01", "53100", "53300", "55P03"),
    *("57014", "XX000"),
]


def batch() -> list[Entry]:
    return [*records(3), rejection()]


async def assert_commits(engine: AsyncEngine) -> None:
    """The whole batch is committed, be it at the first try or a later one."""
    outcomes = await commit(engine, *batch())
    assert outcomes[:3] == [STORED] * 3
    assert outcomes[3] is not None
    assert (outcomes[3].status, outcomes[3].kept) == ("rejected", True)
    assert await counts(engine) == (3, 3, 1)


async def assert_gives_up(engine: AsyncEngine, *, timeout_s: float = 0.1) -> None:
    """No outcome is claimed."""
    assert await commit(engine, *batch(), timeout_s=timeout_s) == [None] * 4


async def test_waiting_time_counts_against_the_deadline(engine: AsyncEngine) -> None:
    loop = asyncio.get_running_loop()
    async with committing(engine, timeout_s=10) as committer:
        async with engine.begin() as other:
            await other.execute(text("LOCK TABLE event_ids"))
            began = loop.time()
            assert await committer.commit(batch(), waited_s=60) == [None] * 4
            took = loop.time() - began
        assert 0.9 < took < 8  # a tenth
        assert await committer.commit(batch(), waited_s=60) != [None] * 4


@pytest.mark.parametrize("state", FAULTS)
async def test_lasting_fault_rejects_nothing_and_heals(
    engine: AsyncEngine, state: str
) -> None:
    await sabotage(engine, raising(state))
    await assert_gives_up(engine)
    assert await counts(engine) == (0, 0, 0)
    await mend(engine)
    await assert_commits(engine)


@pytest.mark.parametrize(
    ("fault", "at_commit"),
    [
        (raising("40P01"), False),
        (raising("40001"), False),
        (raising("40001"), True),
        (raising("XX000"), True),
        ("PERFORM pg_terminate_backend(pg_backend_pid())", False),
        ("PERFORM pg_terminate_backend(pg_backend_pid())", True),
    ],
)
async def test_passing_fault_is_retried(
    engine: AsyncEngine, fault: str, *, at_commit: bool
) -> None:
    await run(engine, "CREATE SEQUENCE tries")  # is not rolled back
    await sabotage(
        engine,
        f"IF nextval('tries') <= 2 THEN {fault}; END IF",
        table="event_ids",
        at_commit=at_commit,
    )

    await assert_commits(engine)

    async with engine.connect() as connection:
        tried = await connection.scalar(text("SELECT last_value FROM tries"))
    assert tried == 2 + 3


async def test_sessions_that_died_while_idle_are_survived(
    engine: AsyncEngine, database_url: str
) -> None:
    idle = [await engine.connect() for _ in range(3)]
    for connection in idle:
        await connection.close()
    killer = create_engine(database_url)
    await end_other_sessions(killer)
    await killer.dispose()
    await assert_commits(engine)


async def test_locked_table_delays_requests_only_briefly(
    engine: AsyncEngine, database_url: str
) -> None:
    single = create_engine(database_url, pool_size=1, command_timeout_s=0.2)
    async with engine.begin() as holder:
        await holder.execute(text("LOCK TABLE event_ids"))
        await assert_gives_up(single, timeout_s=0.3)
    await assert_commits(single)
    await single.dispose()


async def test_locked_table_is_named_although_the_last_attempt_was_cut(
    engine: AsyncEngine, database_url: str
) -> None:
    single = create_engine(database_url, pool_size=1, command_timeout_s=0.4)
    async with engine.begin() as holder, committing(single, timeout_s=0.5) as committer:
        await holder.execute(text("LOCK TABLE event_ids"))
        assert await committer.commit(batch()) == [None] * 4
        assert committer.failure == "table or row locked"
    await single.dispose()


async def test_missing_table_rejects_nothing_and_heals(engine: AsyncEngine) -> None:
    await run(engine, "ALTER TABLE event_ids RENAME TO away")
    await assert_gives_up(engine)
    await run(engine, "ALTER TABLE away RENAME TO event_ids")
    await assert_commits(engine)


async def test_database_that_was_read_only_is_found_writable_again(
    engine: AsyncEngine, database_url: str
) -> None:
    await set_read_only(engine, "on")
    service = create_engine(database_url, pool_size=1)
    async with service.connect():
        pass  # so that no deadline cuts the session while it begins
    await assert_gives_up(service, timeout_s=0.3)
    await set_read_only(engine, "off")
    await assert_commits(service)
    await service.dispose()


@pytest.fixture
def limited_login(admin: Admin) -> Iterator[tuple[str, str]]:
    """A role that may have one connection, and its password."""
    name, password = f"rollcall_test_{secrets.token_hex(6)}", secrets.token_hex(6)
    admin.scalar(f"CREATE ROLE {name} LOGIN CONNECTION LIMIT 1 PASSWORD '{password}'")
    yield name, password
    admin.scalar(f"DROP ROLE {name}")


async def test_too_many_connections_reject_nothing_and_heal(
    limited_login: tuple[str, str], engine: AsyncEngine, database_url: str
) -> None:
    name, password = limited_login
    await run(engine, f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}")
    url = make_url(database_url).set(username=name, password=password)
    dsn = url.render_as_string(hide_password=False)
    rival, service = create_engine(dsn), create_engine(dsn, pool_size=1)
    async with rival.connect():
        await assert_gives_up(service)
    await rival.dispose()
    await assert_commits(service)
    await service.dispose()


async def test_missing_partition_is_made_and_nothing_rejected(
    engine: AsyncEngine,
) -> None:
    await drop_partitions(engine)
    await assert_commits(engine)
    async with engine.connect() as connection:
        assert len(await partitions(connection)) == 5


@pytest.mark.parametrize(
    "body",
    ["RETURN 0", *map(raising, ["22023", "23502", "54000", "P0001"])],
)
async def test_partition_that_cannot_be_made_rejects_nothing(
    engine: AsyncEngine, body: str
) -> None:
    await drop_partitions(engine)
    await run(engine, "ALTER FUNCTION rollcall_ensure_partitions RENAME TO away")
    await run(engine, REPLACE_ENSURE.format(body=body.replace("'", "''")))
    async with asyncio.timeout(PATIENCE_S):  # the time limit is not used up
        await assert_gives_up(engine, timeout_s=2 * PATIENCE_S)
    assert await counts(engine) == (0, 0, 0)
    await run(engine, "DROP FUNCTION rollcall_ensure_partitions")
    await run(engine, "ALTER FUNCTION away RENAME TO rollcall_ensure_partitions")
    await assert_commits(engine)

"""The function that stores the events of a bucket, on a single server and on Citus."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.store.db_errors import DATABASE_ERRORS, is_data_error
from app.store.dsn import dsn_of, with_pooler
from app.store.engine import create_engine
from app.store.operator_session import in_operator_transaction
from app.store.shards.buckets import Buckets, read_buckets
from app.store.shards.claim import claim_in_bucket, store_records
from app.store.shards.settings import pass_settings_on
from app.store.transaction import driver_in_transaction, driver_of
from app.store.write.insert import STORED, insert_parameters
from migrations.statements import read_script
from tests.support.postgres.citus import execute, nodes_of
from tests.support.store.entries import committing, record, records

FUNCTION = read_script("functions/rollcall_store_in_bucket_v1.sql")
# Citus does not pass on a call within an expression: it runs on the node that is asked.
HERE = """
SELECT coalesce(rollcall_store_in_bucket(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17
), '')
"""
END_TRANSACTIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND state = 'idle in transaction'
"""


class Shards(NamedTuple):
    """A connection to the coordinator, and the commands that it has sent to workers."""

    driver: asyncpg.Connection
    buckets: Buckets
    commands: list[str]

    async def sent(self) -> list[str]:
        """Each command since the last call."""
        await self.driver.execute("SELECT 1")  # listeners run in the loop's next turn
        commands = [command.removeprefix("issuing ") for command in self.commands]
        self.commands.clear()
        return commands


@pytest.fixture
async def shards(citus_database_url: str) -> AsyncIterator[Shards]:
    buckets = await in_operator_transaction(citus_database_url, read_buckets)
    async with connected(citus_database_url) as driver:
        commands: list[str] = []
        driver.add_log_listener(lambda _, notice: commands.append(notice.message))
        await driver.execute("SET citus.log_remote_commands = on")
        yield Shards(driver, buckets, commands)


def is_prepare(command: str) -> bool:
    return command.startswith("PREPARE TRANSACTION")


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    driver = await asyncpg.connect(dsn_of(url))
    try:
        yield driver
    finally:
        await driver.close()


@pytest.mark.parametrize("text", ["\x00", "\ud800"])
async def test_text_that_postgres_cannot_hold_is_an_error_of_the_data(
    engine: AsyncEngine, text: str
) -> None:
    async with engine.connect() as connection:
        driver = await driver_in_transaction(connection)
        await driver.execute(FUNCTION)
        with pytest.raises(DATABASE_ERRORS) as refused:
            await claim_in_bucket(driver, 0, [record()._replace(timestamp_raw=text)])
        assert is_data_error(refused.value)


async def test_batch_is_one_command_that_the_worker_commits(shards: Shards) -> None:
    event = record()
    bucket = shards.buckets.of(event.user_id)
    for known in (set(), {event.id}):
        assert await claim_in_bucket(shards.driver, bucket, [event]) == known
        [command] = await shards.sent()
        assert command.startswith("SELECT public.rollcall_store_in_bucket(")
        assert event.id not in command  # the values are parameters


async def test_batches_of_a_bucket_are_planned_once(shards: Shards) -> None:
    for event in (record(f"message-{number}") for number in range(8)):
        await claim_in_bucket(shards.driver, shards.buckets.numbers[0], [event])
    plans = await shards.driver.fetchval(
        "SELECT max(custom_plans) FROM pg_prepared_statements"
        " WHERE statement LIKE '%rollcall_store_in_bucket%'"
    )
    assert plans == 5  # Postgres compares these before it keeps one


async def test_transaction_of_several_statements_commits_in_two_phases(
    shards: Shards,
) -> None:
    """In one phase, a commit that fails on a worker would be a mere warning."""
    event = record()
    async with shards.driver.transaction():
        outcomes = await store_records(shards.driver, shards.buckets, [event])
        assert outcomes == [STORED]
        assert not any(map(is_prepare, await shards.sent()))
    commands = await shards.sent()
    assert any(map(is_prepare, commands))
    assert "COMMIT" not in commands


async def test_batch_through_a_pooler_is_of_its_worker_alone(
    citus_database_url: str, shards: Shards
) -> None:
    """Other workers may be away."""
    engine = create_engine(with_pooler(citus_database_url), pool_size=1)
    async with engine.connect() as connection:
        driver = await driver_of(connection)
        driver.add_log_listener(
            lambda _, notice: shards.commands.append(notice.message)
        )
        await driver.execute("SET citus.log_remote_commands = on")
    async with committing(engine, buckets=shards.buckets) as committer:
        assert await committer.commit([record()]) == [STORED]
    commands = await shards.sent()
    assert any("SET LOCAL synchronous_commit = 'on'" in each for each in commands)
    assert commands[-1] == "COMMIT"
    assert not any(map(is_prepare, commands))
    await engine.dispose()


async def test_commit_that_fails_on_the_worker_fails(
    citus_database_url: str, shards: Shards
) -> None:
    event = record()
    bucket = shards.buckets.of(event.user_id)
    transaction = shards.driver.transaction()
    await transaction.start()
    await pass_settings_on(shards.driver)
    assert not await claim_in_bucket(shards.driver, bucket, [event])
    for node in (await nodes_of(citus_database_url))[1:]:
        await execute(node.url, END_TRANSACTIONS)
    with pytest.raises(DATABASE_ERRORS) as failed:
        await transaction.commit()
    assert not is_data_error(failed.value)
    assert await claim_in_bucket(shards.driver, bucket, [event]) == set()


async def test_commit_is_durable_and_on_the_node_of_the_shard(
    citus_database_url: str, shards: Shards
) -> None:
    """Whatever the role says there; a shard that was moved away is not written to."""
    [event] = records(1)
    arguments = (shards.buckets.of(event.user_id), *insert_parameters([event]))
    settings = []
    for node in await nodes_of(citus_database_url):
        async with connected(node.url) as driver, driver.transaction():
            await driver.execute("SET LOCAL synchronous_commit = off")
            try:
                assert await driver.fetchval(HERE, *arguments) == ""
            except asyncpg.SerializationError as error:
                assert "is not on this node" in str(error)  # noqa: PT017 - not on each node
                continue
            settings.append(await driver.fetchval("SHOW synchronous_commit"))
    assert settings == ["on"]

"""Each index serves the query that its comment names, and they stay small."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.support.store.filling import fill

SIZES = """
SELECT sum(pg_table_size(oid)) AS tables, sum(pg_indexes_size(oid)) AS indexes
FROM pg_class
WHERE relkind = 'r' AND relname LIKE 'event%'
"""
AN_EVENT_BY_ID = """
SELECT * FROM event_ids JOIN events USING (id, stored_at)
WHERE id = (SELECT id FROM event_ids LIMIT 1)
"""
THE_LATEST = "SELECT * FROM events ORDER BY stored_at DESC LIMIT 20"
A_USERS_TIMELINE = """
SELECT * FROM events WHERE user_id = 'u' ORDER BY "timestamp"
"""
AN_ACCOUNTS_MEMBERS = """
SELECT user_id, user_role FROM account_added_user
WHERE group_id = 'g' ORDER BY "timestamp"
"""
SIGN_UPS_A_DAY = """
SELECT date_trunc('day', "timestamp"), count(*) FROM signed_up
WHERE "timestamp" >= date_trunc('week', now()) + interval '6 days'
GROUP BY 1
"""


@pytest.fixture
async def filled(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    async with engine.begin() as connection:
        await fill(connection)
        yield connection


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (AN_EVENT_BY_ID, "stored_at_idx"),
        (THE_LATEST, "stored_at_idx"),
        (A_USERS_TIMELINE, "user_id_timestamp_idx"),
        (AN_ACCOUNTS_MEMBERS, "group_id_timestamp_idx"),
        (SIGN_UPS_A_DAY, "timestamp_idx"),
    ],
    ids=["by id", "the latest", "of a user", "of an account", "a day"],
)
async def test_query_that_is_documented_finds_its_index(
    filled: AsyncConnection, query: str, index: str
) -> None:
    partition = await filled.scalar(
        text("SELECT tableoid::regclass::text FROM events LIMIT 1")
    )

    plan = "\n".join(await filled.scalars(text(f"EXPLAIN (COSTS OFF) {query}")))

    assert f"{partition}_{index}" in plan, plan
    assert f"Seq Scan on {partition}" not in plan, plan


async def test_all_indexes_are_smaller_than_their_tables(
    filled: AsyncConnection,
) -> None:
    tables, indexes = (await filled.execute(text(SIZES))).one()
    assert indexes * 10 < tables * 6

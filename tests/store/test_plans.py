"""Each index serves the query that its comment names, and they stay small."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

EVENTS = 30_000
# A week's worth, in commits of a hundred; happened up to a minute before.
FILL = f"""
INSERT INTO events (
    id, source, event, user_id, group_id, "timestamp", timestamp_raw,
    received_at, stored_at, properties, context
)
SELECT
    gen_random_uuid(), 'billing', 'signed_up', md5((n % 5000)::text)::uuid::text,
    CASE WHEN n % 2 = 0 THEN md5((n % 500)::text)::uuid::text END,
    stored_at - n % 60 * interval '1 second', '2023-11-02T00:30:08.276Z',
    stored_at, stored_at,
    '{{"email": "john.doe@example.com", "name": "John Doe"}}', '{{}}'
FROM generate_series(0, {EVENTS} - 1) AS n, LATERAL (
    SELECT date_trunc('week', now()) + n / 100 * interval '30 minutes' AS stored_at
) AS clock
"""  # noqa: S608
CLAIM = """
INSERT INTO event_ids
SELECT id, stored_at, decode(md5(id::text), 'hex') FROM events
"""
SUMMARISE = r"""
SELECT brin_summarize_new_values(oid) FROM pg_class
WHERE relname ~ '^events_p\d{8}_timestamp_idx$'
"""
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
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        for statement in (FILL, CLAIM, SUMMARISE, "ANALYZE events, event_ids"):
            await connection.execute(text(statement))
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
async def test_a_query_that_is_documented_finds_its_index(
    filled: AsyncConnection, query: str, index: str
) -> None:
    partition = await filled.scalar(
        text("SELECT tableoid::regclass::text FROM events LIMIT 1")
    )

    plan = "\n".join(await filled.scalars(text(f"EXPLAIN (COSTS OFF) {query}")))

    assert f"{partition}_{index}" in plan, plan
    assert f"Seq Scan on {partition}" not in plan, plan


async def test_all_indexes_together_are_smaller_than_what_they_index(
    filled: AsyncConnection,
) -> None:
    tables, indexes = (await filled.execute(text(SIZES))).one()
    assert indexes * 10 < tables * 6

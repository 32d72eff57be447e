"""Tables as they are after months: filled fast, with rows like those that are sent."""

import asyncio
from collections.abc import Iterator
from datetime import datetime

import asyncpg

from app.store.dsn import dsn_of
from bench.baselines.ways import Way

ROWS_A_WEEK = 1_000_000
_CHUNK = 25_000
_CONNECTIONS = 2
_TIMEOUT_S = 900.0

# Row n is from n steps ago, so that older rows can be added to newer ones. Written
# oldest first, under random ids, with every index in place: so they come in life,
# and an index that is built afterwards would be smaller and faster than it will be.
# (What is put into the statements is written in this file.)
_ROWS = f"""
    SELECT
        gen_random_uuid() AS id,
        n,
        $3::timestamptz - n * (interval '1 week' / {ROWS_A_WEEK}) AS stored_at,
        substr(md5('u' || n), 1, 16) AS u,
        substr(md5('g' || n), 1, 16) AS g
    FROM generate_series($2::bigint, $1::bigint, -1) AS n
"""
_COLUMNS = """
    id, source, event, user_id, group_id, "timestamp", timestamp_raw, received_at,
    stored_at, message_id, properties, context, warnings
"""
_VALUES = """
    id,
    'bench',
    'account_added_user',
    '6a-' || u || '-fee8h345',
    '4f-' || g || '-fef54ds3',
    stored_at - interval '1 second',
    to_char(stored_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    stored_at,
    stored_at,
    '7b-' || substr(md5('m' || n), 1, 16) || '-55dsk3f0a1',
    jsonb_build_object(
        'user_name', 'Mark ' || g,
        'user_email', 'mark.' || u || '@example.com',
        'user_role', 'Developer'
    ),
    jsonb_build_object('group_id', '4f-' || g || '-fef54ds3'),
    '[]'::jsonb
"""
_FILL: dict[Way, str] = {
    "insert": f"""
        WITH made AS MATERIALIZED ({_ROWS}), claimed AS (
            INSERT INTO event_ids (id, stored_at, content_hash)
            SELECT id, stored_at, decode(u || g, 'hex') FROM made
        )
        INSERT INTO events ({_COLUMNS}) SELECT {_VALUES} FROM made
    """,
    "plain": f"""
        WITH made AS MATERIALIZED ({_ROWS})
        INSERT INTO plain_events ({_COLUMNS}) SELECT {_VALUES} FROM made
    """,
}
# Named as rollcall_ensure_partitions names those of the weeks to come.
_OLD_WEEKS = f"""
DO $do$
DECLARE
    monday timestamptz;
    oldest CONSTANT timestamptz := date_trunc(
        'week', now() - %(rows)s * (interval '1 week' / {ROWS_A_WEEK})
    );
BEGIN
    FOR monday IN
        SELECT week FROM generate_series(oldest, now(), interval '1 week') AS week
        WHERE to_regclass(to_char(week, '"events_p"YYYYMMDD')) IS NULL
    LOOP
        EXECUTE format(
            'CREATE TABLE %%I PARTITION OF events FOR VALUES FROM (%%L) TO (%%L)',
            to_char(monday, '"events_p"YYYYMMDD'), monday, monday + interval '1 week'
        );
    END LOOP;
END
$do$
"""


def fill(url: str, *, newer: int, rows: int, now: datetime, way: Way) -> None:
    """Add older rows to newer ones, until there are so many.

    Args:
        url: of a database at the newest schema.
        newer: rows that are there already.
        rows: that shall be there.
        now: the instant of the newest row of all; the same in each call.
        way: `insert` for events and event_ids, `plain` for the one table.
    """
    asyncio.run(_fill(url, newer, rows, now, way))


async def _fill(url: str, newer: int, rows: int, now: datetime, way: Way) -> None:
    settings = {"timezone": "UTC", "synchronous_commit": "off", "jit": "off"}
    async with asyncpg.create_pool(
        dsn_of(url),
        min_size=1,
        max_size=_CONNECTIONS,
        command_timeout=_TIMEOUT_S,
        server_settings=settings,
    ) as pool:
        await pool.execute(_OLD_WEEKS % {"rows": rows})
        chunks = _chunks(newer, rows)

        async def work() -> None:
            for first, last in chunks:
                await pool.execute(_FILL[way], first, last, now)

        async with asyncio.TaskGroup() as group:
            for _ in range(_CONNECTIONS):
                group.create_task(work())
    # What autovacuum would begin in the middle of a measurement.
    connection = await asyncpg.connect(dsn_of(url), command_timeout=_TIMEOUT_S)
    await connection.execute("VACUUM (ANALYZE)")
    await connection.close()


def _chunks(newer: int, rows: int) -> Iterator[tuple[int, int]]:
    """First and last row of each chunk, the oldest first."""
    for last in range(rows, newer, -_CHUNK):
        yield max(newer + 1, last - _CHUNK + 1), last

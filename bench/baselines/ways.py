"""Ways into a table that need no service: its own statement, COPY, a plain table."""

from collections.abc import Sequence
from typing import Any, Literal

from app.pipeline.record import Record
from app.store.quarantine.issues_json import stored_warnings
from app.store.write.insert import CLAIM_AND_STORE

# insert: arrays between BEGIN and COMMIT, the same in every release, so that figures
# compare over time. statement: the service's own.
Way = Literal["insert", "statement", "copy", "plain"]

TABLES: dict[Way, str] = {
    "insert": "events",
    "statement": "events",
    "copy": "copied_events",
    "plain": "plain_events",
}
# What is there already stays, so that a table can be filled in several goes.
PREPARATIONS: dict[Way, tuple[str, ...]] = {
    "insert": (),
    "statement": (),
    # Equal, indexes and all, but for its partitions and its claim of ids.
    "copy": ("CREATE TABLE IF NOT EXISTS copied_events (LIKE events INCLUDING ALL)",),
    # What one would do without events' partitions and event_ids.
    "plain": (
        "CREATE TABLE IF NOT EXISTS plain_events (LIKE events, PRIMARY KEY (id))",
        "ALTER TABLE plain_events ALTER stored_at SET DEFAULT now()",
        "CREATE INDEX IF NOT EXISTS plain_user ON plain_events (user_id, timestamp)",
        "CREATE INDEX IF NOT EXISTS plain_group ON plain_events (group_id, timestamp)",
        "CREATE INDEX IF NOT EXISTS plain_time ON plain_events (timestamp)",
    ),
}
_PLAIN_TYPES = {
    "id": "uuid",
    "timestamp": "timestamptz",
    "received_at": "timestamptz",
    "properties": "jsonb",
    "context": "jsonb",
    "warnings": "jsonb",
}
# Those from `id` to `warnings`.
COLUMNS = Record._fields[:12]

_CLAIM_ARRAYS = """
WITH input AS (
    SELECT * FROM unnest(
        $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[],
        $6::timestamptz[], $7::text[], $8::timestamptz[], $9::text[],
        $10::text[], $11::text[], $12::text[], $13::bytea[], $14::text[]
    ) AS input (
        id, source, event, user_id, group_id, "timestamp", timestamp_raw,
        received_at, message_id, properties, context, warnings, content_hash, extra
    )
), claimed AS (
    INSERT INTO event_ids (id, stored_at, content_hash)
    SELECT id, now(), content_hash FROM input ORDER BY id
    ON CONFLICT (id) DO NOTHING
    RETURNING id
), stored AS (
    INSERT INTO events (
        id, source, event, user_id, group_id, "timestamp", timestamp_raw,
        received_at, stored_at, message_id, properties, context, warnings, extra,
        import_id
    )
    SELECT
        id, source, event, user_id, group_id, "timestamp", timestamp_raw,
        received_at, now(), message_id, CAST(properties AS jsonb),
        CAST(context AS jsonb), CAST(warnings AS jsonb), CAST(extra AS jsonb), NULL
    FROM input JOIN claimed USING (id)
)
SELECT id FROM input WHERE NOT EXISTS (SELECT FROM claimed WHERE claimed.id = input.id)
"""


def array_parameters(records: Sequence[Record]) -> tuple[Sequence[Any], ...]:
    """The parameters of the way `insert`: a column each, as an array."""
    columns = [*zip(*records, strict=True)]
    warnings = [stored_warnings(each) for each in columns[11]]
    return (*columns[:11], warnings, columns[12], columns[15])


def statement_of(way: Way) -> str:
    """SQL as asyncpg takes it.

    One statement takes a batch: its parameters are those of `array_parameters` or
    `insert_parameters`, or of a plain table `COLUMNS` as arrays.
    """
    if way == "insert":
        return _CLAIM_ARRAYS
    if way == "statement":
        return CLAIM_AND_STORE
    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    arrays = ", ".join(
        f"CAST(${place} AS {_PLAIN_TYPES.get(name, 'text')}[])"
        for place, name in enumerate(COLUMNS, 1)
    )
    return (
        f"INSERT INTO plain_events ({columns}) SELECT * FROM unnest({arrays})"
        " ON CONFLICT (id) DO NOTHING"
    )

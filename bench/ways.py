"""Ways into a table that need no service: its own statement, COPY, a plain table."""

from typing import Literal

from app.store.write.insert import CLAIM_AND_STORE

# insert and statement: the service's own, between BEGIN and COMMIT or by itself.
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


COLUMNS = (
    *("id", "source", "event", "user_id", "group_id", "timestamp", "timestamp_raw"),
    *("received_at", "message_id", "properties", "context", "warnings"),
)


def statement_of(way: Way) -> str:
    """SQL as asyncpg takes it.

    Each parameter is a column as an array, so that one statement takes a batch: those
    of `insert_parameters`, or of a plain table `COLUMNS`.
    """
    if way in {"insert", "statement"}:
        return CLAIM_AND_STORE
    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    arrays = ", ".join(
        f"CAST(${place} AS {_PLAIN_TYPES.get(name, 'text')}[])"
        for place, name in enumerate(COLUMNS, 1)
    )
    return (
        f"INSERT INTO plain_events ({columns}) SELECT * FROM unnest({arrays})"  # noqa: S608
        " ON CONFLICT (id) DO NOTHING"
    )

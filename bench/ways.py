"""Ways into a table that need no service: its own statement, COPY, a plain table."""

from typing import Literal

from sqlalchemy.dialects.postgresql import asyncpg

from app.store.write.insert import _CLAIM_AND_STORE

Way = Literal["insert", "copy", "plain"]

TABLES: dict[Way, str] = {
    "insert": "events",
    "copy": "copied_events",
    "plain": "plain_events",
}
# What is there already stays, so that a table can be filled in several goes.
PREPARATIONS: dict[Way, tuple[str, ...]] = {
    "insert": (),
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


def statement_of(way: Way) -> tuple[str, list[str]]:
    """SQL as asyncpg takes it, and the names of its parameters in their order.

    Each parameter is a column as an array, so that one statement takes a batch. Of
    COPY, only the names count.
    """
    # Private to the service, and just this is to be measured.
    compiled = _CLAIM_AND_STORE.compile(dialect=asyncpg.dialect())  # type: ignore[no-untyped-call]
    names = list(compiled.positiontup or ())
    if way == "insert":
        return compiled.string, names
    names.remove("content_hash")
    columns = ", ".join(f'"{name}"' for name in names)
    arrays = ", ".join(
        f"CAST(${place} AS {_PLAIN_TYPES.get(name, 'text')}[])"
        for place, name in enumerate(names, 1)
    )
    return (
        f"INSERT INTO plain_events ({columns}) SELECT * FROM unnest({arrays})"  # noqa: S608
        " ON CONFLICT (id) DO NOTHING"
    ), names

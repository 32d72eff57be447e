"""Rights that a database role needs on the tables (see migrations/roles.sql)."""

from collections.abc import Sequence
from functools import partial
from typing import Literal, TypeAlias

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.store.query import ask

Action: TypeAlias = Literal["operate", "export", "erase"]

_TIMEOUT_S = 10.0
_NO_RESPONSE = "The database did not respond in time. Try again."
# Each as RIGHT on TABLE, TABLE.COLUMN or FUNCTION.
_STORE = (
    "INSERT on events",
    "INSERT on event_ids",
    "SELECT on event_ids",
    "INSERT on rejected_events",
    "DELETE on rejected_events",
    "INSERT on rejected_drops",
    "SELECT on buckets",
    "SELECT on write_keys.id",
    "SELECT on write_keys.key_hash",
    "SELECT on write_keys.source",
    "SELECT on write_keys.scope",
    "SELECT on write_keys.revoked_at",
    # Only a database that was distributed has this function.
    "EXECUTE on rollcall_store_in_bucket",
)
_EXPORT = ("SELECT on events", "SELECT on rejected_events")
_ACTIONS: dict[Action, Sequence[str]] = {
    "operate": (
        "SELECT on rejected_events",
        "UPDATE on rejected_events",
        "DELETE on rejected_events",
        "INSERT on events",
        "UPDATE on write_keys.revoked_at",
        "INSERT on sources",
    ),
    "export": _EXPORT,
    "erase": (
        *_EXPORT,
        "UPDATE on events",
        "DELETE on events",
        "UPDATE on rejected_events",
        "DELETE on rejected_events",
        "SELECT on event_ids",
        "INSERT on event_ids",
        "UPDATE on event_ids",
        "INSERT on erasures",
    ),
}


async def missing_rights(
    connection: AsyncConnection, needed: Sequence[str] = _STORE
) -> list[str]:
    """The rights that this role lacks, by default of those that the service needs."""
    has = await connection.execute(text(f"SELECT {', '.join(map(_test, needed))}"))
    return [
        right for right, is_held in zip(needed, has.one(), strict=True) if not is_held
    ]


async def has_rights(engine: AsyncEngine, action: Action) -> bool:
    """Whether the role of a service may take an action of operators.

    Raises:
        UnavailableError: the database did not respond in time.
    """
    missing = partial(missing_rights, needed=_ACTIONS[action])
    return not await ask(engine, missing, timeout_s=_TIMEOUT_S, failure=_NO_RESPONSE)


def _test(right: str) -> str:
    """An expression of SQL: whether the role has the right."""
    name, _, place = right.partition(" on ")
    table, _, column = place.partition(".")
    if name == "EXECUTE":
        function = f"to_regproc('{place}')"
        return f"coalesce(has_function_privilege({function}, '{name}'), true)"
    if column:
        return f"has_column_privilege('{table}', '{column}', '{name}')"
    return f"has_table_privilege('{table}', '{name}')"

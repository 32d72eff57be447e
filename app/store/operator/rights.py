"""Rights that the service's role needs on the tables (see migrations/roles.sql)."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_NEEDED = (
    ("events", "INSERT"),
    ("event_ids", "INSERT"),
    ("event_ids", "SELECT"),
    ("rejected_events", "INSERT"),
    ("rejected_events", "DELETE"),
    ("rejected_drops", "INSERT"),
    ("buckets", "SELECT"),
)
# Of a database that was distributed; others have no such function.
_STORING = "to_regproc('rollcall_store_in_bucket')"
_KEY_COLUMNS = ("id", "key_hash", "source", "scope", "revoked_at")
_MISSING = text(
    "SELECT "
    + ", ".join(
        [f"has_table_privilege('{table}', '{right}')" for table, right in _NEEDED]
        + [
            f"has_column_privilege('write_keys', '{name}', 'SELECT')"
            for name in _KEY_COLUMNS
        ]
        + [f"coalesce(has_function_privilege({_STORING}, 'EXECUTE'), true)"]
    )
)
_NAMES = (
    *(f"{right} on {table}" for table, right in _NEEDED),
    *(f"SELECT on write_keys.{name}" for name in _KEY_COLUMNS),
    "EXECUTE on rollcall_store_in_bucket",
)


async def missing_rights(connection: AsyncConnection) -> list[str]:
    """The rights that this role lacks, such as `INSERT on events`."""
    has = (await connection.execute(_MISSING)).one()
    return [name for name, is_held in zip(_NAMES, has, strict=True) if not is_held]

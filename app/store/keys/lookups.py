"""Look-ups of keys, each in the caller's transaction."""

from sqlalchemy import ColumnElement, bindparam, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.keys.scopes import Reader, Scope
from app.store.tables import write_keys


def is_live() -> ColumnElement[bool]:
    """Return the condition that a key is neither revoked nor expired."""
    return write_keys.c.revoked_at.is_(None) & or_(
        write_keys.c.expires_at.is_(None), write_keys.c.expires_at > func.now()
    )


_BY_HASH = write_keys.c.key_hash == bindparam("key_hash")
# Run for every key that a worker sees for the first time: compiled and prepared once.
_FIND_SOURCE = select(write_keys.c.source).where(
    _BY_HASH, write_keys.c.scope == Scope.WRITE, is_live()
)
_FIND_READER = select(write_keys.c.source, write_keys.c.id, write_keys.c.scope).where(
    _BY_HASH, write_keys.c.scope != Scope.WRITE, is_live()
)
_HAS_WRITE_KEYS = select(
    select(write_keys.c.id).where(write_keys.c.scope == Scope.WRITE, is_live()).exists()
)
_RECORD_USE = text("""
UPDATE write_keys SET last_used_on = current_date
WHERE (key_hash = ANY(:hashes) OR id = ANY(:ids))
    AND last_used_on IS DISTINCT FROM current_date
""")


async def find_source(connection: AsyncConnection, key_hash: bytes) -> str | None:
    """Return the source of a live write key; None for every other key."""
    return await connection.scalar(_FIND_SOURCE, {"key_hash": key_hash})


async def find_reader(connection: AsyncConnection, key_hash: bytes) -> Reader | None:
    """Return the holder of a live key other than a write key; None for the rest."""
    row = (await connection.execute(_FIND_READER, {"key_hash": key_hash})).one_or_none()
    return None if row is None else Reader(*row)


async def has_write_keys(connection: AsyncConnection) -> bool:
    """Whether any live write key exists."""
    return bool(await connection.scalar(_HAS_WRITE_KEYS))


async def record_use(
    connection: AsyncConnection, hashes: list[bytes], ids: list[str]
) -> int:
    """Record today as the day of the last use; return the number of changed rows.

    Keys are given by their hash, those with a browser session in use by their id.
    """
    parameters = {"hashes": hashes, "ids": ids}
    return (await connection.execute(_RECORD_USE, parameters)).rowcount

"""Keys: making, listing, revoking and looking them up.

A key is a prefix and 192 random bits; only its SHA-256 is stored. So long a random
text needs no slow hash and no salt: there is nothing to guess. The prefix tells a
person what a key is for; what it may do is decided by its row.
Every function runs in the caller's transaction.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from sqlalchemy import Select, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import KeyNotFoundError
from app.store.keys.sources import ensure_source
from app.store.tables.events import write_keys

Scope: TypeAlias = Literal["write", "read"]

PREFIXES: dict[Scope, str] = {"write": "rc_", "read": "rc_read_"}
_RANDOM_BYTES = 24
_ID_LENGTH = 12
_SHOWN = (
    write_keys.c.id,
    write_keys.c.source,
    write_keys.c.created_at,
    write_keys.c.revoked_at,
    write_keys.c.scope,
)


def _find_owner(scope: Scope) -> Select[str]:
    return select(write_keys.c.source).where(
        write_keys.c.key_hash == bindparam("key_hash"),
        write_keys.c.scope == scope,
        write_keys.c.revoked_at.is_(None),
    )


_HAS_WRITE_KEYS = select(
    select(write_keys.c.id)
    .where(write_keys.c.scope == "write", write_keys.c.revoked_at.is_(None))
    .exists()
)
# Asked for every key that a worker sees anew: compiled once, prepared once.
_FIND_SOURCE = _find_owner("write")
_FIND_READER = _find_owner("read")


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as an operator sees it.

    Attributes:
        id: its public name, the first 12 hex digits of its SHA-256.
        source: the sender that it belongs to; of a read key, who reads with it.
        created_at: aware UTC.
        revoked_at: aware UTC; None while it is live.
        scope: what it is for.
    """

    id: str
    source: str
    created_at: datetime
    revoked_at: datetime | None
    scope: Scope


def hash_key(key: bytes) -> bytes:
    """The 32 bytes under which a key is stored."""
    return hashlib.sha256(key).digest()


async def create_key(
    connection: AsyncConnection, *, source: str, scope: Scope = "write"
) -> str:
    """Make a key for a source, and the source if it is new.

    Args:
        connection: in the caller's transaction.
        source: who writes with it, or who reads.
        scope: a `read` key reads the events of all sources, and writes nothing.

    Returns:
        The key. It cannot be shown again: nothing stored leads back to it.

    Raises:
        ConfigurationError: the source's name is not one.
    """
    await ensure_source(connection, name=source)
    key = PREFIXES[scope] + secrets.token_urlsafe(_RANDOM_BYTES)
    key_hash = hash_key(key.encode())
    row = {
        "id": _id_of(key_hash),
        "key_hash": key_hash,
        "source": source,
        "scope": scope,
    }
    await connection.execute(insert(write_keys).values(row))
    return key


async def list_keys(connection: AsyncConnection) -> list[KeyRow]:
    """All keys, live and revoked, by source and then the oldest first."""
    rows = await connection.execute(
        select(*_SHOWN).order_by(write_keys.c.source, write_keys.c.created_at)
    )
    return [KeyRow(*row) for row in rows]


async def revoke_key(connection: AsyncConnection, *, key_or_id: str) -> KeyRow:
    """Revoke a key for good; one that is revoked already keeps its time.

    Args:
        connection: in the caller's transaction.
        key_or_id: the key itself, or its id.

    Raises:
        KeyNotFoundError: there is no such key; the text does not repeat it.
    """
    is_key = key_or_id.startswith(PREFIXES["write"])
    id_ = _id_of(hash_key(key_or_id.encode())) if is_key else key_or_id.lower()
    rows = await connection.execute(
        update(write_keys)
        .where(write_keys.c.id == id_)
        .values(revoked_at=func.coalesce(write_keys.c.revoked_at, func.now()))
        .returning(*_SHOWN)
    )
    row = rows.one_or_none()
    if row is None:
        raise KeyNotFoundError(
            "There is no such key; `rollcall keys list` shows the ids of all."
        )
    return KeyRow(*row)


async def find_source(connection: AsyncConnection, *, key_hash: bytes) -> str | None:
    """The source that a live write key belongs to; None for every other key."""
    return await connection.scalar(_FIND_SOURCE, {"key_hash": key_hash})


async def find_reader(connection: AsyncConnection, *, key_hash: bytes) -> str | None:
    """Who reads with a live read key; None for every other key."""
    return await connection.scalar(_FIND_READER, {"key_hash": key_hash})


async def has_write_keys(connection: AsyncConnection) -> bool:
    """Whether any live write key exists."""
    return bool(await connection.scalar(_HAS_WRITE_KEYS))


def _id_of(key_hash: bytes) -> str:
    return key_hash.hex()[:_ID_LENGTH]

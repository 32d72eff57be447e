"""Write keys: making, listing, revoking and looking them up.

A key is `rc_` and 192 random bits; only its SHA-256 is stored. So long a random
text needs no slow hash and no salt: there is nothing to guess.
Every function runs in the caller's transaction.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import ConfigurationError, KeyNotFoundError
from app.store.tables import sources, write_keys

_PREFIX = "rc_"
_RANDOM_BYTES = 24
_ID_LENGTH = 12
_SOURCE = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_SHOWN = (
    write_keys.c.id,
    write_keys.c.source,
    write_keys.c.created_at,
    write_keys.c.revoked_at,
)
# Asked for every key that a worker sees anew: compiled once, prepared once.
_FIND_SOURCE = select(write_keys.c.source).where(
    write_keys.c.key_hash == bindparam("key_hash"), write_keys.c.revoked_at.is_(None)
)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as an operator sees it.

    Attributes:
        id: its public name, the first 12 hex digits of its SHA-256.
        source: the sender that it belongs to.
        created_at: aware UTC.
        revoked_at: aware UTC; None while it is live.
    """

    id: str
    source: str
    created_at: datetime
    revoked_at: datetime | None


def hash_key(key: bytes) -> bytes:
    """The 32 bytes under which a key is stored."""
    return hashlib.sha256(key).digest()


async def create_key(connection: AsyncConnection, *, source: str) -> str:
    """Make a key for a source, and the source if it is new.

    Returns:
        The key. It cannot be shown again: nothing stored leads back to it.

    Raises:
        ConfigurationError: the source's name is not one.
    """
    if not _SOURCE.fullmatch(source):
        raise ConfigurationError(
            "A source's name is 1 to 63 characters of a-z, 0-9, dot, underscore and"
            " hyphen, and begins with a letter or digit, such as billing-backend."
        )
    key = _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    key_hash = hash_key(key.encode())
    await connection.execute(
        insert(sources).values(name=source).on_conflict_do_nothing()
    )
    await connection.execute(
        insert(write_keys).values(id=_id_of(key_hash), key_hash=key_hash, source=source)
    )
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
    is_key = key_or_id.startswith(_PREFIX)
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
    """The source that a live key belongs to; None if it is unknown or revoked."""
    return await connection.scalar(_FIND_SOURCE, {"key_hash": key_hash})


def _id_of(key_hash: bytes) -> str:
    return key_hash.hex()[:_ID_LENGTH]

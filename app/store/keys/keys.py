"""Keys: create, rotate, list and revoke.

A key is a prefix and 192 random bits; only its SHA-256 is stored. A random text of
that length needs no slow hash and no salt, because it cannot be guessed. The prefix
shows the purpose of a key to a person; its row decides.
Every function runs in the caller's transaction.
"""

import hashlib
import re
import secrets
from datetime import timedelta
from typing import Any, TypeAlias

from sqlalchemy import Row, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import ConfigurationError, KeyNotFoundError
from app.store.keys.lookups import is_live
from app.store.keys.scopes import Scope, only_source
from app.store.keys.sources import check_source_name, ensure_source
from app.store.lifecycle.audit import record_action
from app.store.tables import write_keys

PREFIX = "rc_"
_RANDOM_BYTES = 24
_GIVEN_KEY = re.compile(r"rc_[A-Za-z0-9_-]{32,200}")
_ID = re.compile(r"[0-9a-f]{12}")
_ID_LENGTH = 12


# A key as an operator sees it: an attribute for each column but the hash.
KeyRow: TypeAlias = Row[Any]
_SHOWN = [column for column in write_keys.c if column is not write_keys.c.key_hash]


def hash_key(key: bytes) -> bytes:
    """Return the 32 bytes under which a key is stored."""
    return hashlib.sha256(key).digest()


def key_id(key_hash: bytes) -> str:
    """Return the public id of a key."""
    return key_hash.hex()[:_ID_LENGTH]


async def create_key(  # noqa: PLR0913 - the columns of a key
    connection: AsyncConnection,
    *,
    source: str,
    scope: str = Scope.WRITE,
    actor: str = "service",
    expires_in: timedelta | None = None,
    note: str | None = None,
    given: str | None = None,
) -> str:
    """Create a key for a source, and the source if it is new.

    Args:
        connection: in the caller's transaction.
        source: source of the sender, or name of the holder.
        scope: see `app.store.keys.scopes`.
        actor: name in the audit log.
        expires_in: time until it stops working; by default it never does.
        note: remark for `keys list`.
        given: key from a secret store; repeating the call with it changes nothing.

    Returns:
        The key. It cannot be shown again, because only its hash is stored.

    Raises:
        ConfigurationError: the source, the scope or the given key is not valid.
    """
    _check_scope(scope)
    if given is not None and await _is_known(connection, given, source, scope):
        return given
    await ensure_source(connection, name=source)
    key = given or _prefix_of(scope) + secrets.token_urlsafe(_RANDOM_BYTES)
    key_hash = hash_key(key.encode())
    row = {
        "id": key_id(key_hash),
        "key_hash": key_hash,
        "source": source,
        "scope": scope,
        "note": note,
        "expires_at": None if expires_in is None else func.now() + expires_in,
    }
    await connection.execute(insert(write_keys).values(row))
    await record_action(
        connection,
        "key.create",
        actor=actor,
        subject=key_id(key_hash),
        source=source,
        scope=scope,
    )
    return key


async def rotate_key(
    connection: AsyncConnection, *, id_: str, actor: str, keep: timedelta
) -> str:
    """Create a successor of a key, with the same source, scope and note.

    The old key still works for the time given as `keep`.

    Raises:
        KeyNotFoundError: no live key has this id.
    """
    rows = await connection.execute(
        update(write_keys)
        .where(write_keys.c.id == _checked_id(id_), is_live())
        .values(
            expires_at=func.least(
                func.coalesce(write_keys.c.expires_at, text("'infinity'")),
                func.now() + keep,
            )
        )
        .returning(write_keys.c.source, write_keys.c.scope, write_keys.c.note)
    )
    old = rows.one_or_none()
    if old is None:
        raise KeyNotFoundError(
            f"No live key has the id {id_}: see `rollcall keys list`."
        )
    key = await create_key(
        connection, source=old.source, scope=old.scope, note=old.note, actor=actor
    )
    await record_action(
        connection,
        "key.rotate",
        actor=actor,
        subject=id_,
        successor=key_id(hash_key(key.encode())),
    )
    return key


async def rotate_write_key(connection: AsyncConnection, *, id_: str, actor: str) -> str:
    """As `rotate_key`, of a write key alone; the old key works for another day.

    Another scope would give an operator a stronger key.

    Raises:
        KeyNotFoundError: no live write key has this id.
    """
    scope = select(write_keys.c.scope).where(write_keys.c.id == id_)
    if await connection.scalar(scope) != Scope.WRITE:
        raise KeyNotFoundError("No live write key has this id.")
    return await rotate_key(connection, id_=id_, actor=actor, keep=timedelta(days=1))


async def list_keys(connection: AsyncConnection) -> list[KeyRow]:
    """Return all keys, live and revoked, by source and then the oldest first."""
    rows = await connection.execute(
        select(*_SHOWN).order_by(write_keys.c.source, write_keys.c.created_at)
    )
    return [*rows]


async def revoke_key(
    connection: AsyncConnection, *, id_: str, actor: str = "service"
) -> KeyRow:
    """Revoke a key for good; one that is revoked already keeps its time.

    Raises:
        KeyNotFoundError: no key has this id, or the text is a key instead of an id.
    """
    rows = await connection.execute(
        update(write_keys)
        .where(write_keys.c.id == _checked_id(id_))
        .values(revoked_at=func.coalesce(write_keys.c.revoked_at, func.now()))
        .returning(*_SHOWN)
    )
    row = rows.one_or_none()
    if row is None:
        raise KeyNotFoundError(f"No key has the id {id_}: see `rollcall keys list`.")
    await record_action(
        connection, "key.revoke", actor=actor, subject=row.id, source=row.source
    )
    return row


def _check_scope(scope: str) -> None:
    source = only_source(scope)
    if source is not None:
        check_source_name(source)
    elif scope not in {*Scope}:
        raise ConfigurationError(
            f"There is no scope {scope!r}: choose one of {', '.join(Scope)}, or "
            "read:SOURCE for one source."
        )


def _prefix_of(scope: str) -> str:
    name = scope.partition(":")[0]
    return PREFIX if name == Scope.WRITE else f"{PREFIX}{name}_"


def _checked_id(id_: str) -> str:
    """Return the id, or refuse a key: a command line is visible to other users."""
    if id_.startswith(PREFIX):
        raise KeyNotFoundError(
            "This is a key, and keys are named by their id, which `rollcall keys list` "
            "shows. A key on a command line may have been seen by others: revoke it."
        )
    if not _ID.fullmatch(id_.lower()):
        raise KeyNotFoundError("An id has 12 hex digits: see `rollcall keys list`.")
    return id_.lower()


async def _is_known(
    connection: AsyncConnection, given: str, source: str, scope: str
) -> bool:
    """Whether a given key exists already, with the same source and scope."""
    if not _GIVEN_KEY.fullmatch(given):
        raise ConfigurationError(
            "The key from the standard input must be rc_ and at least 32 characters "
            "of A-Z a-z 0-9 _ -, such as `echo rc_$(openssl rand -hex 24)` makes."
        )
    rows = await connection.execute(
        select(
            write_keys.c.source, write_keys.c.scope, is_live().label("is_live")
        ).where(write_keys.c.key_hash == hash_key(given.encode()))
    )
    row = rows.one_or_none()
    if row is None:
        return False
    if (row.source, row.scope, row.is_live) != (source, scope, True):
        raise ConfigurationError(
            f"The key exists, but it belongs to {row.source} with the scope "
            f"{row.scope}, or it is revoked or expired: use another one."
        )
    return True

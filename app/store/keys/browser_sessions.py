"""Browser sessions: a random token in a cookie, of which the hash is stored.

A session has the rights of its read key. It ends with the key, or when it expires.
"""

import secrets
from datetime import timedelta
from functools import partial

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.store.keys.keys import hash_key
from app.store.keys.scopes import Reader
from app.store.query import ask
from app.store.read.limiter import QueryLimiter

SESSION_LIFE = timedelta(hours=12)
_RANDOM_BYTES = 32
_FAILURE = "The reader could not be looked up in time; try again."

# One statement, so that an invalid key costs as much as a valid one.
_BEGIN = text("""
WITH used AS (
    DELETE FROM sign_in_codes
    WHERE CAST(:is_code AS boolean) AND code_hash = :secret AND expires_at > now()
    RETURNING key_id
), key AS (
    SELECT id, source FROM write_keys
    WHERE (
        id IN (SELECT key_id FROM used)
        OR NOT CAST(:is_code AS boolean) AND key_hash = :secret
    )
        AND scope IN ('read', 'operate', 'erase')
        AND revoked_at IS NULL AND coalesce(expires_at > now(), true)
), session AS (
    INSERT INTO sessions (token_hash, key_id, expires_at)
    SELECT :token_hash, id, now() + :life FROM key
)
SELECT source FROM key
""")
_FIND = text("""
SELECT source, id, scope FROM sessions JOIN write_keys ON id = key_id
WHERE token_hash = :token_hash AND sessions.expires_at > now()
    AND scope IN ('read', 'operate', 'erase')
    AND revoked_at IS NULL AND coalesce(write_keys.expires_at > now(), true)
""")
_END = text("DELETE FROM sessions WHERE token_hash = :token_hash")
_EXPIRE = text("""
WITH codes AS (DELETE FROM sign_in_codes WHERE expires_at <= now())
DELETE FROM sessions WHERE expires_at <= now()
""")


class Sessions:
    """Begins, finds and ends browser sessions.

    Each method raises UnavailableError if the database does not respond in time.
    """

    def __init__(self, engine: AsyncEngine, *, timeout_s: float) -> None:
        self._ask = partial(ask, engine, timeout_s=timeout_s, failure=_FAILURE)
        # Guessed secrets use one connection, so that the others stay free for readers.
        self._one_at_a_time = QueryLimiter(
            engine, timeout_s=timeout_s, at_once=1, waiting=20, failure=_FAILURE
        )

    async def sign_in(self, secret: bytes, *, is_code: bool) -> str | None:
        """Begin a session, and return its token; None if the secret is not valid.

        Args:
            secret: a read key, or a code, which is used up by it.
            is_code: which of them.

        Raises:
            OverloadedError: too many are signing in.
        """
        token = secrets.token_urlsafe(_RANDOM_BYTES)
        parameters = {
            "is_code": is_code,
            "secret": hash_key(secret),
            "token_hash": hash_key(token.encode()),
            "life": SESSION_LIFE,
        }
        reader = await self._one_at_a_time.ask(
            lambda connection: connection.scalar(_BEGIN, parameters)
        )
        return None if reader is None else token

    async def reader_of(self, token_hash: bytes) -> Reader | None:
        """Return who is signed in with a token; None for an unknown token."""

        async def find(connection: AsyncConnection) -> Reader | None:
            rows = await connection.execute(_FIND, {"token_hash": token_hash})
            row = rows.one_or_none()
            return None if row is None else Reader(*row)

        return await self._ask(find)

    async def sign_out(self, token: bytes) -> None:
        """End a session, if it is one."""
        parameters = {"token_hash": hash_key(token)}
        await self._ask(lambda connection: connection.execute(_END, parameters))

    async def expire(self) -> int:
        """Delete expired sessions and codes; returns how many sessions."""
        deleted = await self._ask(lambda connection: connection.execute(_EXPIRE))
        return deleted.rowcount

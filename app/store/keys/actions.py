"""Actions of operators on write keys, each in a transaction of its own."""

from datetime import timedelta
from functools import partial

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import ConfigurationError, KeyNotFoundError
from app.request_errors import InvalidParameterError
from app.store.keys.keys import create_key, revoke_key, rotate_key
from app.store.keys.scopes import Scope
from app.store.query import ask

_TIMEOUT_S = 5.0
_KEPT = timedelta(days=1)
_SCOPE = text("SELECT scope FROM write_keys WHERE id = :id")
_NO_RESPONSE = "The database did not respond in time. Try again."


class KeyActions:
    """Creates, rotates and revokes keys.

    Each method raises UnavailableError if the database does not respond in time. The
    engine is separate from those of the writer and of readers.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._ask = partial(ask, engine, timeout_s=_TIMEOUT_S, failure=_NO_RESPONSE)

    async def create(self, source: str, *, actor: str) -> str:
        """Create a write key, and the source if it is new; returns the key.

        Raises:
            InvalidParameterError: the name is not valid.
        """
        try:
            return await self._ask(partial(create_key, source=source, actor=actor))
        except ConfigurationError as error:
            raise InvalidParameterError(error.detail) from None

    async def rotate(self, id_: str, *, actor: str) -> str:
        """Create the successor of a write key; the old key works for another day.

        Keys of other scopes are left out: an operator would get a stronger key.

        Raises:
            KeyNotFoundError: no live write key has the id.
        """
        return await self._ask(partial(_rotate_write_key, id_=id_, actor=actor))

    async def revoke(self, id_: str, *, actor: str) -> str:
        """Revoke a key by its id; returns its source.

        Raises:
            KeyNotFoundError: the id is unknown.
        """
        row = await self._ask(partial(revoke_key, id_=id_, actor=actor))
        return str(row.source)


async def _rotate_write_key(
    connection: AsyncConnection, *, id_: str, actor: str
) -> str:
    scope = await connection.scalar(_SCOPE, {"id": id_})
    if scope != Scope.WRITE:
        raise KeyNotFoundError("No live write key has this id.")
    return await rotate_key(connection, id_=id_, actor=actor, keep=_KEPT)

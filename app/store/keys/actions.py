"""Actions of operators on write keys, each in a transaction of its own."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import (
    ConfigurationError,
    InvalidParameterError,
    KeyNotFoundError,
    NotFoundError,
)
from app.store.keys.keys import create_key, revoke_key
from app.store.query import ask

T = TypeVar("T")

_TIMEOUT_S = 5.0
_NO_RESPONSE = "The database did not respond in time. Try again."


class KeyActions:
    """Creates and revokes write keys.

    Args:
        engine: separate from those of the writer and of readers.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def create(self, source: str) -> str:
        """Create a write key, and the source if it is new; returns the key.

        Raises:
            InvalidParameterError: the name is not valid.
            UnavailableError: the database did not respond.
        """
        try:
            return await self._ask(partial(create_key, source=source))
        except ConfigurationError as error:
            raise InvalidParameterError(error.detail) from None

    async def revoke(self, id_: str) -> str:
        """Revoke a key by its id; returns its source.

        Raises:
            NotFoundError: the id is unknown.
            UnavailableError: the database did not respond.
        """
        try:
            return (await self._ask(partial(revoke_key, id_=id_))).source
        except KeyNotFoundError as error:
            raise NotFoundError(error.detail) from None

    async def _ask(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        return await ask(self._engine, work, timeout_s=_TIMEOUT_S, failure=_NO_RESPONSE)

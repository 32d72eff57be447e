"""One question to the database, answered within its time or not at all."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import UnavailableError
from app.store.causes import cause_of
from app.store.db_errors import DATABASE_ERRORS
from app.store.transaction import transaction

T = TypeVar("T")


async def ask(
    engine: AsyncEngine,
    question: Callable[[AsyncConnection], Awaitable[T]],
    *,
    timeout_s: float,
    failure: str,
) -> T:
    """Ask in a transaction; again, while there is time, if its session was lost.

    Args:
        engine: one of its connections is used.
        question: may be asked twice.
        timeout_s: for all of it.
        failure: what to say where there is no answer.

    Raises:
        UnavailableError: there is none; what Postgres said is its context.
    """
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        try:
            async with transaction(engine, deadline=deadline) as connection:
                return await question(connection)
        except DATABASE_ERRORS as error:
            # One from the pool may have died while it was idle.
            if not getattr(error, "connection_invalidated", False):
                raise UnavailableError(failure, reason=cause_of(error).reason) from None

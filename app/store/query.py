"""Queries with a time limit."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.request_errors import UnavailableError
from app.store.db_errors import DATABASE_ERRORS
from app.store.operator.causes import cause_of
from app.store.transaction import transaction

T = TypeVar("T")


async def ask(
    engine: AsyncEngine,
    question: Callable[[AsyncConnection], Awaitable[T]],
    *,
    timeout_s: float,
    failure: str,
) -> T:
    """Run a query in a transaction; again, within the limit, if it had no connection.

    Args:
        engine: pool that the connection is taken from.
        question: the query; it may run twice.
        timeout_s: time limit of all attempts.
        failure: error message.

    Raises:
        UnavailableError: Postgres did not respond in time, or refused.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while True:
        try:
            async with transaction(engine, deadline=deadline) as connection:
                return await question(connection)
        except DATABASE_ERRORS as error:
            # Others held all connections for as long as the pool waits.
            is_early = isinstance(error, PoolTimeoutError) and loop.time() < deadline
            # A pooled connection may have been lost while it was idle.
            is_lost = getattr(error, "connection_invalidated", False)
            if not is_early and not is_lost:
                raise UnavailableError(failure, reason=cause_of(error).reason) from None

"""The database as a command uses it: on an engine of its own."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import DatabaseError
from app.store.db_errors import DATABASE_ERRORS, sqlstate_of
from app.store.engine import create_engine

T = TypeVar("T")

_TIMEOUT_S = 30.0


@contextmanager
def explained() -> Iterator[None]:
    """Say what a database error means to whoever typed a command.

    Raises:
        DatabaseError: in place of it.
    """
    try:
        yield
    except DATABASE_ERRORS as error:
        raise DatabaseError(
            f"The database did not do it ({type(error).__name__} "
            f"{sqlstate_of(error)}); is ROLLCALL_DATABASE_URL right, and is it up?"
        ) from error


async def run_with_engine(url: str, work: Callable[[AsyncEngine], Awaitable[T]]) -> T:
    """Do some work that begins and commits its transactions itself.

    Raises:
        DatabaseError: the database did not take part.
        OperatorError: whatever the work raises.
    """
    engine = create_engine(url, pool_size=1, command_timeout_s=_TIMEOUT_S)
    try:
        with explained():
            return await work(engine)
    finally:
        await engine.dispose()


async def in_operator_transaction(
    url: str, work: Callable[[AsyncConnection], Awaitable[T]]
) -> T:
    """Do some work in a transaction and commit it.

    Raises:
        DatabaseError: the database did not take part.
        OperatorError: whatever the work raises.
    """

    async def once(engine: AsyncEngine) -> T:
        async with engine.begin() as connection:
            return await work(connection)

    return await run_with_engine(url, once)

"""The database as a command uses it: one engine, and errors that name their cause."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import DatabaseError
from app.store.db_errors import DATABASE_ERRORS
from app.store.engine import one_connection
from app.store.operator.causes import cause_of, driver_error, sqlstate_of
from app.store.operator.psql import describe_target

P = ParamSpec("P")
T = TypeVar("T")

_TIMEOUT_S = 30.0


def explain(error: BaseException, url: str, *, host: str | None = None) -> str:
    """Sentences that name the database, the cause and the remedy, without the password.

    Args:
        error: of a database operation.
        url: that was used.
        host: one host of the URL, if the error concerns only that one.
    """
    cause = cause_of(error)
    state = sqlstate_of(error)
    code = state or type(driver_error(error)).__name__
    if state and cause.is_configuration:
        # The message names a role, a table or a parameter, never a value.
        code += f": {driver_error(error)}".partition("\n")[0]
    target = describe_target(url, host=host)
    return f"{target}: {cause.reason} ({code}). {cause.advice}"


@contextmanager
def operator_errors(url: str) -> Iterator[None]:
    """Turn database errors into errors that the operator of a command understands.

    Raises:
        DatabaseError: with the database, the cause and the remedy.
    """
    try:
        yield
    except DATABASE_ERRORS as error:
        raise DatabaseError(explain(error, url)) from error


@dataclass(frozen=True, slots=True)
class OperatorDatabase:
    """A database whose operations a command runs one after the other.

    Attributes:
        url: URL with its password.
    """

    url: str

    def transact(
        self,
        work: Callable[Concatenate[AsyncConnection, P], Awaitable[T]],
        *arguments: P.args,
        **options: P.kwargs,
    ) -> T:
        """Run work as `in_operator_transaction` does, with these further arguments."""
        within = in_operator_transaction(
            self.url, lambda connection: work(connection, *arguments, **options)
        )
        return asyncio.run(within)

    def run(
        self,
        work: Callable[Concatenate[AsyncEngine, P], Awaitable[T]],
        *arguments: P.args,
        **options: P.kwargs,
    ) -> T:
        """Run work as `run_with_engine` does, with these further arguments."""
        within = run_with_engine(
            self.url, lambda engine: work(engine, *arguments, **options)
        )
        return asyncio.run(within)


async def run_with_engine(url: str, work: Callable[[AsyncEngine], Awaitable[T]]) -> T:
    """Run work that begins and commits its own transactions, in `operator_errors`."""
    with operator_errors(url):
        async with one_connection(url, command_timeout_s=_TIMEOUT_S) as engine:
            return await work(engine)


async def in_operator_transaction(
    url: str, work: Callable[[AsyncConnection], Awaitable[T]]
) -> T:
    """Run work in a transaction and commit it, in `operator_errors`."""

    async def once(engine: AsyncEngine) -> T:
        async with engine.begin() as connection:
            return await work(connection)

    return await run_with_engine(url, once)

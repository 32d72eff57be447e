"""A limit on concurrent read queries, which use connections of their own."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.request_errors import OverloadedError
from app.store.query import ask

T = TypeVar("T")

_TOO_MUCH = (
    "The database did not answer in time; where it is well, ask for less: name a "
    "user, an account or a span of time."
)


class QueryLimiter:
    """Runs a few read queries at a time; a bounded number waits.

    Args:
        engine: engine that only readers use.
        timeout_s: time limit of one query, waiting included.
        at_once: most concurrent queries.
        waiting: most waiting queries; further ones are refused.
        failure: error message for a query that was not answered.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        timeout_s: float,
        at_once: int = 2,
        waiting: int = 50,
        failure: str = _TOO_MUCH,
    ) -> None:
        self._engine = engine
        self._failure = failure
        self._timeout_s = timeout_s
        self._slots = asyncio.Semaphore(at_once)
        self._room = at_once + waiting

    async def ask(self, question: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Wait for a free place, then run a read-only query, perhaps twice.

        Raises:
            OverloadedError: too many wait, or no slot was free in time.
            UnavailableError: the database did not answer.
        """
        if not self._room:
            raise OverloadedError("Too many are reading; ask again.")
        self._room -= 1
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        try:
            await self._wait_for_slot(deadline)
            try:
                left_s = deadline - asyncio.get_running_loop().time()
                return await ask(
                    self._engine, question, timeout_s=left_s, failure=self._failure
                )
            finally:
                self._slots.release()
        finally:
            self._room += 1

    async def _wait_for_slot(self, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                await self._slots.acquire()
        except TimeoutError:
            raise OverloadedError("Others were still reading; ask again.") from None

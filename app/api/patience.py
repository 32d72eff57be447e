"""How long one request waits for the database, all in all."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from app.errors import UnavailableError

T = TypeVar("T")


class Patience:
    """The time that one request may wait; every wait uses some of it up.

    Args:
        limit_s: seconds in all.
    """

    def __init__(self, limit_s: float) -> None:
        self._left_s = limit_s

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """Await it, as long as there is time.

        Raises:
            UnavailableError: the time is used up; what was awaited is cancelled.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        future = asyncio.ensure_future(awaitable)
        # As asyncio.timeout does, at a fraction of its price.
        alarm = loop.call_later(self._left_s, future.cancel, self)
        try:
            return await future
        except asyncio.CancelledError as error:
            if error.args == (self,):
                raise UnavailableError("The database did not answer in time.") from None
            raise
        finally:
            alarm.cancel()
            self._left_s -= loop.time() - began

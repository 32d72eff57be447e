"""How long one request waits for the database, all in all."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from app.errors import UnavailableError
from app.ingest.timeout_queue import Alarms

T = TypeVar("T")


class Patience:
    """The time that one request may wait; every wait uses some of it up.

    Args:
        alarms: whose delay is that time.
    """

    def __init__(self, alarms: Alarms) -> None:
        self._alarms = alarms
        self._used_s = 0.0

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """Await it, as long as there is time.

        Raises:
            UnavailableError: the time is used up; what was awaited has ended, too.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            if not self._used_s and isinstance(awaitable, asyncio.Future):
                self._alarms.set(awaitable)
                result: T = await awaitable
                return result
            async with asyncio.timeout(self._alarms.delay_s - self._used_s):
                return await awaitable
        except TimeoutError:
            raise UnavailableError("The database did not answer in time.") from None
        finally:
            self._used_s += loop.time() - began

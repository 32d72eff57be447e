"""How many requests that send no events are worked on at a time.

They share the event loop with the requests that do. Clients with a known key or session
have a bound of their own, so that nobody else can keep them waiting.
"""

import asyncio

from app.request_errors import OverloadedError


class Bound:
    """Lets a number of requests in at a time; the others wait in order.

    Args:
        slots: requests at a time.
        max_waiting: requests that may wait; more are refused.
        max_wait_s: how long one may wait.
    """

    def __init__(self, slots: int, *, max_waiting: int, max_wait_s: float) -> None:
        self._free = asyncio.Semaphore(slots)
        self._waiting = 0
        self._max_waiting = max_waiting
        self._max_wait_s = max_wait_s

    async def enter(self) -> None:
        """Wait for a slot, and let the event loop turn once.

        Raises:
            OverloadedError: too many wait already, or it took too long.
        """
        if self._free.locked():
            await self._wait()
        else:
            await self._free.acquire()
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.leave()
            raise

    def leave(self) -> None:
        """Give the slot to the request that has waited longest."""
        self._free.release()

    async def _wait(self) -> None:
        if self._waiting >= self._max_waiting:
            raise _overloaded()
        self._waiting += 1
        try:
            async with asyncio.timeout(self._max_wait_s):
                await self._free.acquire()
        except TimeoutError:
            raise _overloaded() from None
        finally:
            self._waiting -= 1


class Slot:
    """One request's place in a bound, which it may leave and enter again.

    Args:
        bound: the bound that has the slot; None for a request without a bound.
    """

    def __init__(self, bound: Bound | None) -> None:
        self._bound = bound
        self._is_held = False
        self._has_ended = False

    async def enter(self) -> None:
        """Wait for the slot.

        Raises:
            OverloadedError: too many wait already, or it took too long.
        """
        if self._bound is None or self._is_held:
            return
        await self._bound.enter()
        self._is_held = True
        if self._has_ended:  # meanwhile
            self.leave()

    def leave(self) -> None:
        """Give the slot back; harmless when done twice."""
        if self._bound is not None and self._is_held:
            self._is_held = False
            self._bound.leave()

    def end(self) -> None:
        """Give the slot back for good: the response has begun, or failed."""
        self._has_ended = True
        self.leave()


def _overloaded() -> OverloadedError:
    return OverloadedError("Too many requests wait for a page or a query; try again.")

"""Waiting for a state of which no event tells: of Postgres, or of another process."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

_PAUSE_S = 0.01


async def eventually(
    condition: Callable[[], bool | Awaitable[bool]], *, within_s: float = 60
) -> None:
    """Wait until a condition holds.

    Args:
        condition: called again and again, and awaited if it is asynchronous.
        within_s: after which TimeoutError is raised.
    """
    async with asyncio.timeout(within_s):
        while not await _is_met(condition):  # noqa: ASYNC110 - the one place that polls
            await asyncio.sleep(_PAUSE_S)


async def _is_met(condition: Callable[[], bool | Awaitable[bool]]) -> bool:
    found = condition()
    return await found if inspect.isawaitable(found) else found

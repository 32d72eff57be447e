"""Ending a task from outside."""

import asyncio
from typing import Any

import pytest


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task, and wait until it has ended by that."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

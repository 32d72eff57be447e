"""Senders that never stop, and record each response."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from tests.support.http.wire import event
from tests.support.limits import PATIENCE_S

_SENDERS = 8


@dataclass(slots=True)
class Load:
    """The number of requests sent, and their responses."""

    sent: int = 0
    stored: set[str] = field(default_factory=set)
    refused: list[int] = field(default_factory=list)
    _progress: asyncio.Event = field(default_factory=asyncio.Event)

    async def until_stored(self, count: int) -> None:
        """Wait until so many events more are stored."""
        wanted = len(self.stored) + count
        while len(self.stored) < wanted:
            self._progress.clear()
            await self._progress.wait()

    async def send(self, client: httpx.AsyncClient, name: str) -> None:
        """Send one event after the other, until nobody listens."""
        number = 0
        while True:
            number += 1
            message_id = f"{name}-{number}"
            self.sent += 1
            try:
                response = await client.post("/track", content=event(message_id))
            except httpx.ConnectError:
                return
            except httpx.TransportError:
                continue  # that one worker is gone, or leaves
            if response.status_code == 200:
                self.stored.add(message_id)
                self._progress.set()
            else:
                self.refused.append(response.status_code)


@asynccontextmanager
async def under_load(address: str, key: str) -> AsyncIterator[Load]:
    """Load, until nobody listens."""
    load = Load()
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    async with (
        httpx.AsyncClient(
            base_url=address, headers=headers, timeout=PATIENCE_S
        ) as client,
        asyncio.TaskGroup() as senders,
    ):
        for number in range(_SENDERS):
            senders.create_task(load.send(client, f"sender{number}"))
        yield load

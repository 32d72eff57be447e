"""Clients that count each failure, in the two ways that clients connect.

A refused connection, a reset, an end before the whole answer, an answer that is not
200: each is a failure, and none is tried again.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from tests.support.eventually import eventually
from tests.support.http.wire import event, request

# Leaves time of the machine to workers that start.
_PAUSE_S = 0.02


@dataclass(slots=True)
class Calls:
    """What became of each request.

    Attributes:
        answered: message ids.
        failures: what went wrong, in words.
        goodbyes: answers that said that they were the last on their connection.
    """

    endpoint: tuple[str, int]
    key: str
    answered: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    goodbyes: int = 0
    clients: list[asyncio.Task[None]] = field(default_factory=list)
    _ended: bool = False

    async def until_answered(self, more: int) -> None:
        wanted = len(self.answered) + more
        await eventually(lambda: len(self.answered) >= wanted, within_s=100)

    async def over_one_connection(self, name: str) -> None:
        """Ask again and again over a connection, until the service ends it."""
        numbers = count()
        while not self._ended:
            reader, writer = await asyncio.open_connection(*self.endpoint)
            last = False
            while not (last or self._ended):
                last = await self._ask(reader, writer, f"{name}-{next(numbers)}")
            writer.close()

    async def over_new_connections(self, name: str) -> None:
        """A connection for each request."""
        for number in count():
            if self._ended:
                return
            try:
                reader, writer = await asyncio.open_connection(*self.endpoint)
            except OSError as error:
                self.failures.append(repr(error))
                continue
            await self._ask(reader, writer, f"{name}-{number}")
            writer.close()

    def end(self) -> None:
        self._ended = True

    async def ended(self) -> None:
        """Wait until the last answers are here."""
        await asyncio.wait(self.clients)

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str
    ) -> bool:
        """Whether this connection is done with."""
        try:
            writer.write(request(self.key, event(name)))
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length: ")[2].split()[0])
            await reader.readexactly(length)
        except (OSError, EOFError) as error:
            self.failures.append(f"{name}: {error!r}")
            return True
        if b" 200 " not in head.partition(b"\r\n")[0]:
            self.failures.append(f"{name}: {head!r}")
        self.answered.append(name)
        goodbye = b"connection: close" in head
        self.goodbyes += goodbye
        await asyncio.sleep(_PAUSE_S)
        return goodbye


@asynccontextmanager
async def calling(
    endpoint: tuple[str, int], key: str, *, each: int = 4
) -> AsyncIterator[Calls]:
    """Run `each` clients of each kind until `end()` or the end of the context."""
    calls = Calls(endpoint, key)
    async with asyncio.TaskGroup() as group:
        for number in range(each):
            for ask in (calls.over_one_connection, calls.over_new_connections):
                calls.clients.append(group.create_task(ask(f"{ask.__name__}-{number}")))
        try:
            yield calls
        finally:
            calls.end()

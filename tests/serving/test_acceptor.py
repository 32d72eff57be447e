"""Accepting from a shared socket: who comes first, bursts, shortages and the end."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager

import pytest
from typing_extensions import override

from app.serving.acceptor import Acceptor
from tests.support.eventually import eventually

# Of one that holds 30 to 62 connections, at least.
_PAUSE_S = 0.005


class Greeting(asyncio.Protocol):
    """A connection that counts among those held, and tells the client so."""

    def __init__(self, held: set[object]) -> None:
        self._held = held

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._held.add(transport)
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(b"hello")


class Exhausted(socket.socket):
    """A listener whose first connection finds no free descriptor."""

    shortages = 1

    @override
    def accept(self) -> tuple[socket.socket, object]:
        if self.shortages:
            self.shortages -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


class Counted(socket.socket):
    """A listener that counts connections accepted in one iteration of the loop."""

    most = in_turn = 0

    @override
    def accept(self) -> tuple[socket.socket, object]:
        if not self.in_turn:
            asyncio.get_running_loop().call_soon(self._end_turn)
        self.in_turn += 1
        self.most = max(self.most, self.in_turn)
        return super().accept()

    def _end_turn(self) -> None:
        self.in_turn = 0


@contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        yield listener


@asynccontextmanager
async def accepting(
    listener: socket.socket, held: set[object]
) -> AsyncIterator[Acceptor]:
    """Accept as one worker does, which has an open file description of its own."""
    shared = listener.dup()
    acceptor = Acceptor(shared, lambda: Greeting(held), held)
    try:
        yield acceptor
    finally:
        acceptor.close()
        shared.close()
        for transport in held:
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()


@asynccontextmanager
async def connected(
    listener: socket.socket, count: int
) -> AsyncIterator[list[asyncio.StreamReader]]:
    async with AsyncExitStack() as stack:
        readers = []
        for _ in range(count):
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            stack.callback(writer.close)
            readers.append(reader)
        yield readers


def holding(count: int) -> set[object]:
    return {object() for _ in range(count)}


@pytest.mark.parametrize("is_first", [True, False])
async def test_new_connection_goes_to_the_worker_that_holds_fewer(
    *, is_first: bool
) -> None:
    busy, idle = holding(30), holding(0)
    order = [busy, idle] if is_first else [idle, busy]
    with listening() as listener:
        async with (
            accepting(listener, order[0]),
            accepting(listener, order[1]),
            connected(listener, 1) as [reader],
        ):
            assert await reader.readexactly(5) == b"hello"
            assert (len(busy), len(idle)) == (30, 1)


async def test_burst_evens_out_what_workers_hold() -> None:
    busy, idle = holding(64), holding(0)
    with listening() as listener:
        async with (
            accepting(listener, busy),
            accepting(listener, idle),
            connected(listener, 64) as readers,
        ):
            for reader in readers:
                assert await reader.readexactly(5) == b"hello"
            assert len(idle) > len(busy) - 64


async def test_worker_that_is_alone_accepts_a_burst_in_growing_parts() -> None:
    held, burst = holding(30), 500
    with listening() as listener, ExitStack() as clients:
        for _ in range(burst):
            client = socket.create_connection(listener.getsockname())
            clients.enter_context(client)
        async with accepting(listener, held):
            await eventually(lambda: len(held) == 30 + burst, within_s=_PAUSE_S * burst)


async def test_burst_is_accepted_in_parts_that_leave_the_loop_to_others() -> None:
    held, burst = holding(0), 500
    with (
        listening() as listener,
        ExitStack() as clients,
        Counted(fileno=listener.dup().detach()) as counted,
    ):
        for _ in range(burst):
            client = socket.create_connection(listener.getsockname())
            clients.enter_context(client)
        acceptor = Acceptor(counted, lambda: Greeting(held), held)
        await eventually(lambda: len(held) == burst)
        acceptor.close()
    assert 0 < counted.most <= 65  # the last may find none left


@pytest.mark.parametrize("held", [0, 30])
async def test_closed_acceptor_leaves_connections_to_another(held: int) -> None:
    leaving, staying = holding(held), holding(60)
    with listening() as listener:
        async with accepting(listener, leaving) as acceptor:
            if not held:
                acceptor.close()
            with socket.create_connection(listener.getsockname()):
                for _ in range(2):  # turns of the loop, in which its pause begins
                    await asyncio.sleep(0)
                acceptor.close()
                async with accepting(listener, staying):
                    await eventually(lambda: len(staying) == 61)
            assert len(leaving) == held


async def test_accepted_connection_is_pending_until_it_is_made() -> None:
    held, pending = holding(0), list[int]()

    def make() -> Greeting:
        pending.append(acceptor.pending)
        return Greeting(held)

    with listening() as listener:
        acceptor = Acceptor(listener, make, held)
        async with connected(listener, 1) as [reader]:
            assert await reader.readexactly(5) == b"hello"
            await eventually(lambda: acceptor.pending == 0)
            acceptor.close()
    assert pending == [1]


async def test_client_that_has_left_does_not_stop_the_acceptor() -> None:
    held = holding(2)
    with listening() as listener:
        with socket.create_connection(listener.getsockname()) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1" + bytes(7))
        async with accepting(listener, held), connected(listener, 1) as [reader]:
            assert await reader.readexactly(5) == b"hello"


async def test_acceptor_goes_on_after_a_shortage_of_descriptors(
    caplog: pytest.LogCaptureFixture,
) -> None:
    held = holding(0)
    with listening() as listener, Exhausted(fileno=listener.dup().detach()) as scarce:
        acceptor = Acceptor(scarce, lambda: Greeting(held), held)
        async with connected(listener, 1) as [reader]:
            assert await reader.readexactly(5) == b"hello"
            acceptor.close()
    assert caplog.messages == ["cannot accept"]

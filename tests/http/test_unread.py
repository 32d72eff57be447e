"""How long bytes have waited in the kernel."""

import socket
from contextlib import ExitStack

import pytest
from typing_extensions import override

from app.http.unread import waited_s
from tests.support.eventually import eventually
from tests.support.http.connecting import MemoryTransport


class Transport(MemoryTransport):
    """The transport of a socket."""

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__()
        self._socket = accepted

    @override
    def get_extra_info(self, name: str, default: object = None) -> object:
        return self._socket if name == "socket" else default


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="the kernel does not tell")
async def test_time_counts_from_the_last_bytes_that_the_kernel_received() -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        client = stack.enter_context(socket.create_connection(listener.getsockname()))
        accepted = stack.enter_context(listener.accept()[0])
        transport = Transport(accepted)
        client.send(b"first")
        await eventually(lambda: waited_s(transport) > 0.3)
        client.send(b"last")

        assert 0 <= waited_s(transport) < 0.3


def test_time_is_unknown_without_tcp() -> None:
    left, right = socket.socketpair()
    with left, right:
        assert waited_s(Transport(left)) == 0.0
    assert waited_s(MemoryTransport()) == 0.0

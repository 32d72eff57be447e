"""Fixtures for what lies between the service and its Postgres."""

import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.store.proxy import Proxy


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    """A way to this test's database that can be made to fail."""
    async with Proxy(database_url).listening() as proxy:
        yield proxy


@pytest.fixture
def closed_address() -> Iterator[str]:
    """An address that refuses connections: its port is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"

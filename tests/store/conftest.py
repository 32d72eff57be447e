"""Fixtures for the connection between the service and its Postgres."""

import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from app.store.journal.journal import Journal, prepare
from tests.support.postgres.proxy import Proxy


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


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory of journals, still empty."""
    directory = tmp_path / "state" / "journal"
    prepare(directory)
    return directory


@pytest.fixture
async def journal(directory: Path) -> AsyncIterator[Journal]:
    """A journal in it, with room for more than any test writes."""
    journal = Journal(directory, max_bytes=1024**3)
    yield journal
    await journal.close()

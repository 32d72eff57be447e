"""A listener, and pauses that last."""

import socket
from collections.abc import Iterator

import pytest

from app.serving import supervisor


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def endless_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crashed worker is replaced after a quarter of an hour."""
    monkeypatch.setattr(supervisor, "_LONGEST_PAUSE_S", {True: 1e3, False: 1e3})
    monkeypatch.setattr(supervisor, "_SHORTEST_PAUSE_S", 1e3)

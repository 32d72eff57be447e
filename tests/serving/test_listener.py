"""Inherited sockets, and the state that the service manager receives."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.errors import ConfigurationError
from app.serving.listener import address_of, bind_socket, inherit_socket
from app.serving.systemd import Notifier

_INHERIT = """
from app.errors import (ConfigurationError)
from app.serving.listener import inherit_socket
try:
    inherit_socket(1)
except ConfigurationError as error:
    print(error.detail)
"""


@contextmanager
def manager(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        listener.settimeout(60)
        yield listener


def test_inherit_socket_rejects_several_sockets() -> None:
    with pytest.raises(ConfigurationError, match="2 sockets"):
        inherit_socket(2)


@pytest.mark.parametrize("words", ["3<&-", "3</dev/null"])
def test_inherit_socket_rejects_other_descriptors_with_a_sentence(words: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {words}', "sh", sys.executable, "-c", _INHERIT],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("Descriptor 3 is not a socket: ")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_address_of_returns_a_url(host: str) -> None:
    with bind_socket(host, 0) as listener:
        with socket.create_connection(listener.getsockname()[:2]):
            pass
        port = listener.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        assert address_of(listener) == f"http://{shown}:{port}"


def test_notifier_sends_each_state(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with manager(path) as listener:
        Notifier(path).ready()
        Notifier(path).reloading()
        Notifier(path).stopping()
        assert listener.recv(100) == b"READY=1"
        assert listener.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert listener.recv(100) == b"STOPPING=1"


def test_notifier_takes_an_abstract_address() -> None:
    name = f"rollcall-{os.getpid()}"
    with manager(f"\0{name}") as listener:
        Notifier(f"@{name}").ready()
        assert listener.recv(100) == b"READY=1"


def test_notifier_without_a_receiver_sends_nothing(tmp_path: Path) -> None:
    Notifier(None).ready()
    Notifier(str(tmp_path / "nobody")).ready()

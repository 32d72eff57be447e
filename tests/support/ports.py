"""Ports for programs that cannot take any free one, or that start again on theirs."""

import secrets
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_PORTS = 10_000


def free_port() -> int:
    """A free port below those that the kernel gives out.

    Any other free port could be given to a connection before the program binds it.
    """
    first = int(_RANGE.read_text().split()[0])
    while True:
        port = first - 1 - secrets.randbelow(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port

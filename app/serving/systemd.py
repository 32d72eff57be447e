"""Protocols of systemd: readiness (sd_notify(3)) and sockets (sd_listen_fds(3))."""

import os
import socket
import time
from contextlib import suppress
from typing import NamedTuple

from app.environment import process_environment


class ServiceManager(NamedTuple):
    """What the service manager passes in the environment.

    Attributes:
        sockets: number of listening sockets.
        notify: address of the Unix socket that receives the state; None without one.
    """

    sockets: int
    notify: str | None


def service_manager() -> ServiceManager:
    """Read the environment, which may be meant for another process."""
    environment = process_environment()
    ours = environment.get("LISTEN_PID") == str(os.getpid())
    count = environment.get("LISTEN_FDS", "") if ours else ""
    return ServiceManager(
        int(count) if count.isdecimal() else 0, environment.get("NOTIFY_SOCKET")
    )


class Notifier:
    """Reports the state of the service to the service manager.

    Args:
        address: of its Unix socket; None sends nothing.
    """

    def __init__(self, address: str | None) -> None:
        # A leading @ marks an abstract address (unix(7)).
        self._address = address and address.replace("@", "\0", 1)

    def ready(self) -> None:
        """The service accepts requests."""
        self._send("READY=1")

    def reloading(self) -> None:
        """The workers are being replaced."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={microseconds}")

    def stopping(self) -> None:
        """The service accepts no more connections."""
        self._send("STOPPING=1")

    def _send(self, state: str) -> None:
        if self._address:
            with (
                suppress(OSError),
                socket.socket(type=socket.SOCK_DGRAM, family=socket.AF_UNIX) as sender,
            ):
                sender.sendto(state.encode(), self._address)

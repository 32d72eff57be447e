"""What systemd wants to be told (sd_notify(3)), where it listens."""

import socket
import time
from contextlib import suppress


class Notifier:
    """Tells the service manager how the service is.

    Args:
        address: of its Unix socket; None if there is none, and nothing is told.
    """

    def __init__(self, address: str | None) -> None:
        # An address that begins with @ is an abstract one (unix(7)).
        self._address = address and address.replace("@", "\0", 1)

    def ready(self) -> None:
        """It serves."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """It serves, and its workers are being replaced."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={microseconds}")

    def stopping(self) -> None:
        """It accepts nothing more."""
        self._tell("STOPPING=1")

    def _tell(self, words: str) -> None:
        if self._address:
            with (
                suppress(OSError),
                socket.socket(type=socket.SOCK_DGRAM, family=socket.AF_UNIX) as sender,
            ):
                sender.sendto(words.encode(), self._address)

"""The listening socket: one of our own, or one that was handed to us."""

import errno
import socket
import time

from app.errors import ConfigurationError
from app.serving.server import BACKLOG

_FIRST_INHERITED = 3
_BIND_PATIENCE_S = 3.0
_BIND_PAUSE_S = 0.05


def inherited(count: int) -> socket.socket:
    """The socket that whoever started us listens on (sd_listen_fds(3)).

    Args:
        count: of the sockets that were handed over.

    Raises:
        ConfigurationError: they are several, or it is none that we can serve.
    """
    if count != 1:
        raise ConfigurationError(
            f"{count} sockets were handed over; Rollcall serves one: set one "
            "ListenStream in its systemd socket."
        )
    try:
        with socket.socket(fileno=_FIRST_INHERITED) as handed_over:
            listener = handed_over.dup()  # which no other program inherits
    except OSError as error:
        raise ConfigurationError(
            f"What was handed over is no socket: {error.strerror}."
        ) from None
    tcp = listener.family in {socket.AF_INET, socket.AF_INET6}
    if not tcp or not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise ConfigurationError("The socket that was handed over listens on no port.")
    return listener


def bound(host: str, port: int) -> socket.socket:
    """A socket of our own, listening before anything is announced.

    Raises:
        ConfigurationError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    deadline = time.monotonic() + _BIND_PATIENCE_S
    while True:
        try:
            return socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as error:
            # The workers of a service that was killed may just be leaving.
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise ConfigurationError(
                    f"Cannot listen on {host} port {port}: "
                    f"{error.strerror}. Choose another with --host or --port."
                ) from None
        # Nobody tells when a port is free: it can only be tried, until the deadline.
        time.sleep(_BIND_PAUSE_S)


def address_of(listener: socket.socket) -> str:
    """As http://127.0.0.1:8000."""
    host, port, *_ = listener.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

"""The listening socket: bound here, or inherited from the service manager."""

import errno
import socket
import time

from app.errors import ConfigurationError

BACKLOG = 2048
_FIRST_INHERITED = 3
_BIND_TIMEOUT_S = 3.0
_BIND_PAUSE_S = 0.05


def inherit_socket(count: int) -> socket.socket:
    """Return the socket that the service manager passed (sd_listen_fds(3)).

    Raises:
        ConfigurationError: there are several, or it is not a TCP listener.
    """
    if count != 1:
        raise ConfigurationError(
            f"{count} sockets were passed; Rollcall serves one: set one "
            "ListenStream in its systemd socket."
        )
    try:
        with socket.socket(fileno=_FIRST_INHERITED) as passed:
            listener = passed.dup()  # close-on-exec
    except OSError as error:
        raise ConfigurationError(
            f"Descriptor {_FIRST_INHERITED} is not a socket: {error.strerror}."
        ) from None
    tcp = listener.family in {socket.AF_INET, socket.AF_INET6}
    if not tcp or not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise ConfigurationError("The socket that was passed is not a TCP listener.")
    return listener


def bind_socket(host: str, port: int) -> socket.socket:
    """Create a listening socket.

    Raises:
        ConfigurationError: the address is not available.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    deadline = time.monotonic() + _BIND_TIMEOUT_S
    while True:
        try:
            return socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as error:
            # The workers of a service that was killed may still be exiting.
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise ConfigurationError(
                    f"Cannot listen on {host} port {port}: "
                    f"{error.strerror}. Choose another with --host or --port."
                ) from None
        # The kernel does not notify when a port becomes free.
        time.sleep(_BIND_PAUSE_S)


def address_of(listener: socket.socket) -> str:
    """Return the URL of the listener, such as http://127.0.0.1:8000."""
    host, port, *_ = listener.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

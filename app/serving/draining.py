"""How a connection leaves a worker that leaves: no request on it may be lost.

A connection that a server closes may be one into which its client is just sending,
and that client sees a reset. So a worker that is replaced closes none: it gives each
to another worker, between two requests, and the kernel keeps what arrives meanwhile.

Where nobody takes over, the next answer on each says that it is the last (RFC 9112
section 9.6), and only those that stay silent are closed.
"""

import select
import socket

from app.http.connection import Connection

_SILENT_S = 1.0


class Draining:
    """Sees the connections of one worker off.

    Args:
        give: where open connections are put for another worker; does not block.

    Attributes:
        gives: whether there is another worker.
    """

    def __init__(self, give: socket.socket) -> None:
        del give
        self.gives = False

    def visit(self, connection: Connection, *, waited_s: float) -> None:
        """Let it leave, if it can; else see to it that it soon can.

        Args:
            connection: visited again and again, until it is gone.
            waited_s: since the first visit to any.
        """
        connection.start_draining()
        if waited_s > _SILENT_S and not _has_unread(connection):
            connection.close_if_idle()


def _has_unread(connection: Connection) -> bool:
    """Whether the kernel holds bytes that we have not read."""
    poll = select.poll()
    descriptor: int = connection.transport.get_extra_info("socket").fileno()
    if descriptor < 0:
        return False
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))

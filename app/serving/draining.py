"""How a connection leaves a worker that leaves: no request on it may be lost.

A connection that a server closes may be one into which its client is just sending,
and that client sees a reset. So a worker that is replaced closes none: it gives each
to another worker, between two requests, and the kernel keeps what arrives meanwhile.

Where nobody takes over, the next answer on each says that it is the last (RFC 9112
section 9.6), and only those that stay silent are closed.
"""

import logging
import select
import socket
from functools import partial

from app.http.connection import Connection

log = logging.getLogger(__name__)

_SILENT_S = 1.0


class Draining:
    """Sees the connections of one worker off.

    Args:
        give: where open connections are put for another worker; does not block.

    Attributes:
        gives: whether there is another worker.
    """

    def __init__(self, give: socket.socket) -> None:
        self._give = give
        self.gives = False

    def visit(self, connection: Connection, *, waited_s: float) -> None:
        """Let it leave, if it can; else see to it that it soon can.

        Args:
            connection: visited again and again, until it is gone.
            waited_s: since the first visit to any.
        """
        if connection.transport.is_closing():
            return
        if self.gives:
            self._hand_over(connection)
        else:
            _say_farewell(connection, waited_s)

    def _hand_over(self, connection: Connection) -> None:
        if not connection.is_idle:
            if not connection.cycle.response_complete:
                connection.cycle.on_response = partial(self._answered, connection)
        elif not connection.transport.get_write_buffer_size() and self._gave(
            connection
        ):
            connection.transport.close()

    def _answered(self, connection: Connection) -> None:
        connection.on_response_complete()
        # Nothing of another request shall be read here; a write may still wait.
        if self.gives and connection.is_idle and not connection.transport.is_closing():
            connection.flow.pause_reading()
            connection.loop.call_soon(partial(self.visit, connection, waited_s=0))

    def _gave(self, connection: Connection) -> bool:
        try:
            socket.send_fds(self._give, [b"."], [_descriptor(connection)])
        except BlockingIOError:  # the others are not as fast
            return False
        except OSError:
            log.exception("connection not handed over")
            self.gives = False
            return False
        return True


def _say_farewell(connection: Connection, waited_s: float) -> None:
    connection.leaves = True
    if not connection.is_idle:
        if not connection.cycle.response_started:
            connection.cycle.keep_alive = False
        return
    connection.flow.resume_reading()
    if waited_s > _SILENT_S and not _has_unread(connection):
        connection.transport.close()


def _has_unread(connection: Connection) -> bool:
    """Whether the kernel holds bytes that we have not read."""
    poll = select.poll()
    poll.register(_descriptor(connection), select.POLLIN)
    return bool(poll.poll(0))


def _descriptor(connection: Connection) -> int:
    descriptor: int = connection.transport.get_extra_info("socket").fileno()
    return descriptor

"""Accepts connections so that they spread evenly over the workers.

All workers wait on one listening socket. The worker that wakes first could accept a
whole burst of connections and keep them for hours, while another worker stays idle.
Therefore a worker waits before it accepts, the longer the more connections it holds: a
worker that holds fewer comes first. The workers need no shared state for this, and if
one of them hangs, the others still accept everything.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sized

from app.logs import fields

log = logging.getLogger(__name__)

# The pause is so long for each doubling of the connections held.
_PAUSE_S = 0.001
# Connections accepted in one iteration of the event loop: a thousand would take 100 ms,
# in which nobody is served.
_MOST_AT_A_TIME = 64
# Time to recover when no descriptor or memory is left for a connection.
_EXHAUSTED_S = 1.0


class Acceptor:
    """Accepts the connections of one worker from a socket that workers share.

    Args:
        listener: the listening socket, which is left open.
        make_protocol: makes the protocol of a connection.
        held: the connections that this worker holds.
    """

    def __init__(
        self,
        listener: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
        held: Sized,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._make_protocol = make_protocol
        self._held = held
        self._pause: asyncio.TimerHandle | None = None
        # Connections to accept at a time: twice as many each time that some are left.
        # Once it is the most, there is no pause until none is left, so that bursts of
        # thousands are accepted fast.
        self._at_a_time = 1
        # Connections that are accepted and not yet made.
        self._tasks: set[asyncio.Task[object]] = set()
        listener.settimeout(0)
        self._watch()

    @property
    def pending(self) -> int:
        """Connections that are accepted and not yet made."""
        return len(self._tasks)

    def close(self) -> None:
        """Accept nothing more; connections that wait are left to other workers."""
        self._loop.remove_reader(self._listener)
        if self._pause is not None:
            self._pause.cancel()

    def _watch(self) -> None:
        self._loop.add_reader(self._listener, self._on_readable)

    def _on_readable(self) -> None:
        held = len(self._held) + len(self._tasks)
        if held and self._at_a_time < _MOST_AT_A_TIME:
            self._accept_after(held.bit_length() * _PAUSE_S)
        else:
            self._accept()

    def _accept_after(self, pause_s: float) -> None:
        self._loop.remove_reader(self._listener)
        self._pause = self._loop.call_later(pause_s, self._accept_and_watch)

    def _accept_and_watch(self) -> None:
        self._watch()
        self._accept()

    def _accept(self) -> None:
        for _ in range(self._at_a_time):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                self._at_a_time = 1
                return
            except OSError as error:
                log.warning("cannot accept", extra=fields(error=error.strerror))
                self._accept_after(_EXHAUSTED_S)
                return
            task = self._loop.create_task(self._adopt(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._at_a_time = min(2 * self._at_a_time, _MOST_AT_A_TIME)

    async def _adopt(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make_protocol, connection)
        except OSError:
            connection.close()  # the client has left

"""A worker process as its parent sees it."""

import asyncio
import json
import logging
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing, suppress

from app.logs import fields

log = logging.getLogger(__name__)

# On a busy machine, a worker that starts or answers late is slow and not hung.
_START_S = 120.0
_SILENCE_S = 30.0
# In so many waits: after a pause of the whole machine, the first one ends at once.
_WAITS = 2

ChildProcess = subprocess.Popen[bytes]
Spawn = Callable[[socket.socket], ChildProcess]
# Settings of a worker that its environment does not have.
Config = Mapping[str, object]


def spawn_worker(listener: socket.socket, control: socket.socket) -> ChildProcess:
    """Start a worker as a new program, so that it runs the code that is on disk now."""
    return subprocess.Popen(  # noqa: S603 - our own program
        # -P: modules in the working directory are not ours.
        [sys.executable, "-P", "-m", "app.serving.worker", str(listener.fileno())],
        stdin=control.fileno(),
        pass_fds=[listener.fileno()],
        process_group=0,  # Ctrl-C reaches the parent only
    )


class WorkerProcess:
    """One worker, which waits for its configuration before it serves.

    Args:
        spawn: starts the process, given its end of the control socket.

    Attributes:
        control: our end of its control socket.
        has_served: whether it ever accepted connections.
        is_leaving: whether it was asked to exit.
        decided: set once it accepts connections or has ended.

    Raises:
        OSError: the process cannot be started.
    """

    def __init__(self, spawn: Spawn) -> None:
        self.control, theirs = socket.socketpair()
        with theirs:
            try:
                self.process = spawn(theirs)
            except OSError:
                self.control.close()
                raise
        self.pid = self.process.pid
        self.has_served = self.is_leaving = False
        self._writer: asyncio.StreamWriter | None = None
        self.decided = asyncio.Event()

    async def run(self, config: Config) -> int:
        """Let it serve until it ends; returns its exit status, -9 for signal 9."""
        try:
            reader, self._writer = await asyncio.open_unix_connection(sock=self.control)
            # A worker that ends before it has read everything resets the connection.
            with closing(self._writer), suppress(ConnectionError):
                self._writer.write(json.dumps(config).encode() + b"\n")
                await self._read_heartbeats(reader)
        finally:
            self.decided.set()
        return await asyncio.to_thread(self.process.wait)

    def drain(self) -> None:
        """Ask it to leave new connections to its successor, and to exit."""
        if self._writer is None:  # it was started just now, and has no configuration
            self.stop()
        else:
            self.is_leaving = True
            self._writer.write(b"d")  # ignored once it has ended

    def stop(self) -> None:
        """Ask it to finish the requests in flight, and to exit."""
        self.is_leaving = True
        self.process.terminate()

    async def _read_heartbeats(self, reader: asyncio.StreamReader) -> None:
        """Read until it has ended, or kill it."""
        wait_s, silences = _START_S / _WAITS, 0
        while silences < _WAITS:
            try:
                async with asyncio.timeout(wait_s):
                    if not await reader.read(1):
                        return
            except TimeoutError:
                # A worker that leaves sends none while it commits queued events.
                silences += not self.is_leaving
            else:
                wait_s, silences = _SILENCE_S / _WAITS, 0
                self.has_served = True
                self.decided.set()
        log.error("worker hung", extra=fields(pid=self.pid))
        self.process.kill()

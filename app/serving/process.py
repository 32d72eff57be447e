"""A worker process as its parent sees it."""

import asyncio
import json
import logging
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress

from app.logs import fields

log = logging.getLogger(__name__)

# On a busy machine, a worker that starts or answers late is slow and not hung.
_START_S = 120.0
_SILENCE_S = 30.0
_READ_BYTES = 64
# Shortest pause before a worker is started again.
PAUSE_S = 0.1

Process = subprocess.Popen[bytes]
Spawn = Callable[[socket.socket], Process]


def spawn_worker(listener: socket.socket, control: socket.socket) -> Process:
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
        silence_s: seconds without a heartbeat after which it is killed.
        pause_s: seconds for which its place was empty before.

    Attributes:
        has_served: whether it ever accepted connections.

    Raises:
        OSError: the process cannot be started.
    """

    def __init__(
        self, spawn: Spawn, *, silence_s: float = _SILENCE_S, pause_s: float = PAUSE_S
    ) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = spawn(theirs)
            except OSError:
                self._control.close()
                raise
        self.pid = self._process.pid
        self.pause_s = pause_s
        self.has_served = self._is_leaving = False
        self._silence_s = silence_s
        self.started_at = time.monotonic()
        self._ready = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None

    def begin(self, config: Mapping[str, object]) -> None:
        """Send the configuration, so that the worker serves."""
        self._running = asyncio.create_task(self._run(config))
        self._running.add_done_callback(lambda _: self._ready.set())

    async def ready(self) -> bool:
        """Wait until it accepts connections or has ended; returns whether it did."""
        await self._ready.wait()
        return self.has_served

    async def wait(self) -> int:
        """Wait until it has ended; returns its exit status, -9 for signal 9."""
        return await asyncio.shield(self._running)

    def drain(self, *, within_s: float) -> None:
        """Ask it to leave new connections to its successor, and to exit."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(b"d")
        self._kill_after(within_s)

    def stop(self, *, within_s: float) -> None:
        """Ask it to finish the requests in flight, and to exit."""
        self._process.send_signal(signal.SIGTERM)
        self._kill_after(within_s)

    def _kill_after(self, limit_s: float) -> None:
        self._is_leaving = True
        asyncio.get_running_loop().call_later(limit_s, self._kill_late)

    def _kill_late(self) -> None:
        if not self._running.done():
            log.error("worker did not exit", extra=fields(pid=self.pid))
            self.kill()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def abort(self) -> None:
        """End it at once, and wait for that."""
        self._control.close()
        self.kill()
        self._process.wait()

    async def _run(self, config: Mapping[str, object]) -> int:
        reader, self._writer = await asyncio.open_unix_connection(sock=self._control)
        with closing(self._writer):
            self._writer.write(json.dumps(config).encode() + b"\n")
            with suppress(ConnectionError):  # it ended before it had read everything
                await self._read_heartbeats(reader)
            self._ready.set()
            return await asyncio.to_thread(self._process.wait)

    async def _read_heartbeats(self, reader: asyncio.StreamReader) -> None:
        limit_s = _START_S
        with suppress(TimeoutError):
            while await asyncio.wait_for(reader.read(_READ_BYTES), limit_s):
                limit_s = self._silence_s
                self.has_served = True
                self._ready.set()
            return  # it has ended
        if not self._is_leaving:  # that has a limit of its own
            log.error("worker hung", extra=fields(pid=self.pid))
            self.kill()

"""A worker as its parent sees it."""

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

from app.logs import fields

log = logging.getLogger(__name__)

# On a busy machine, a worker that starts or answers late is slow, not hung.
_START_S = 120.0
_SILENCE_S = 30.0
_LINE_BYTES = 64


class Worker:
    """One process, which waits for its instructions before it serves.

    Args:
        start: makes the process, given its end of the line to us; returns the pid.
        silence_s: after which one that serves is taken for hung, and killed.

    Raises:
        OSError: there can be no process.
    """

    def __init__(
        self, start: Callable[[socket.socket], int], *, silence_s: float = _SILENCE_S
    ) -> None:
        self._line, theirs = socket.socketpair()
        with theirs, ExitStack() as if_it_fails:
            if_it_fails.callback(self._line.close)
            self.pid = start(theirs)
            if_it_fails.pop_all()
        self._silence_s = silence_s
        self._began = time.monotonic()
        self._ready = asyncio.Event()
        self._served = False
        self._writer: asyncio.StreamWriter | None = None
        self._life: asyncio.Task[int] | None = None

    @property
    def served(self) -> bool:
        """Whether it ever accepted connections."""
        return self._served

    @property
    def age_s(self) -> float:
        """How long ago it was started."""
        return time.monotonic() - self._began

    def begin(self, instructions: bytes, *, ended: Callable[["Worker"], None]) -> None:
        """Let it serve.

        Args:
            instructions: one line.
            ended: called when it has.
        """
        self._life = asyncio.create_task(self._live(instructions))
        self._life.add_done_callback(lambda _: ended(self))

    async def ended(self) -> int:
        """Wait until it has ended; returns its exit status, -9 for signal 9."""
        if self._life is None:
            raise RuntimeError("It has not begun.")
        return await asyncio.shield(self._life)

    async def _live(self, instructions: bytes) -> int:
        reader, self._writer = await asyncio.open_unix_connection(sock=self._line)
        self._writer.write(instructions)
        with suppress(OSError):  # it was killed before it had read all
            await self._listen(reader)
        self._ready.set()
        self._writer.close()
        _, status = await asyncio.to_thread(os.waitpid, self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        """Hear that it serves, until it ends or falls silent."""
        heard = b"."
        while heard:
            patience_s = self._silence_s if self._served else _START_S
            try:
                async with asyncio.timeout(patience_s):
                    heard = await reader.read(_LINE_BYTES)
            except TimeoutError:
                log.error("worker hung", extra=fields(pid=self.pid))  # noqa: TRY400 - a trace of the waiting says nothing
                self.kill()
            else:
                self._served = self._served or bool(heard)
                self._ready.set()

    async def ready(self) -> bool:
        """Wait until it accepts, or has ended; returns whether it ever accepted."""
        await self._ready.wait()
        return self._served

    def retire(self) -> None:
        """Let it give its connections to the others, and leave."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(b"r")

    def stop(self) -> None:
        """Let it answer what it has been asked, and leave."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._send(signal.SIGKILL)

    def forsake(self) -> None:
        """End it, if it has not begun."""
        if self._life is None:
            self._line.close()
            self.kill()
            os.waitpid(self.pid, 0)

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

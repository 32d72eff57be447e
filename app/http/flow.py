"""Flow control of a connection: when nothing is read, and when a writer waits."""

import asyncio
from typing import Literal

from typing_extensions import override

# waiting: a request waits behind the current one. body: its handler holds enough of the
# body. back-off: the client's next request is not due yet. turn: its bytes wait to be
# parsed. refused: no further request is accepted. writing: the client does not read.
PauseReason = Literal["waiting", "body", "back-off", "turn", "refused", "writing"]
# The service's own reasons, during which the client's bytes wait in the kernel.
_OWN: frozenset[PauseReason] = frozenset({"body", "back-off", "turn"})


class FlowControl(asyncio.Protocol):
    """A protocol that pauses reading for any of several reasons.

    Attributes:
        transport: of asyncio.
    """

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._reasons: set[PauseReason] = set()
        # Whether the next bytes may have waited in the kernel.
        self._was_unread = False
        # Set while the write buffer is full.
        self._writable: asyncio.Event | None = None

    @property
    def is_paused(self) -> bool:
        """Whether nothing is read."""
        return bool(self._reasons)

    def pause(self, reason: PauseReason, *, paused: bool = True) -> None:
        """Add or remove a reason to stop reading."""
        if not (paused or self._reasons):
            return
        was_paused = bool(self._reasons)
        if paused:
            self._reasons.add(reason)
            self._was_unread |= reason in _OWN
        else:
            self._reasons.discard(reason)
        if was_paused == bool(self._reasons) or self.transport.is_closing():
            return
        if self._reasons:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def hold(self, *, held: bool) -> None:
        """Stop reading the body, or go on."""
        self.pause("body", paused=held)

    async def drain(self) -> None:
        """Wait until the write buffer is nearly empty."""
        while self._writable is not None:
            await self._writable.wait()

    @override
    def pause_writing(self) -> None:
        self._writable = asyncio.Event()
        self.pause("writing")

    @override
    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set()
            self._writable = None
        self.pause("writing", paused=False)

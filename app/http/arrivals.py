"""The bytes of a connection, from their arrival until they are parsed."""

import asyncio

from typing_extensions import override

from app.http.flow import FlowControl
from app.http.inbox import Inbox


class BufferedInput(FlowControl):
    """Keeps bytes that arrived until the inbox says that it is their turn.

    Args:
        loop: the running one.
        inbox: of the worker.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, inbox: Inbox) -> None:
        super().__init__()
        self._loop = loop
        self._inbox = inbox
        self._arrived_at = loop.time()
        self._unparsed = b""

    @override
    def data_received(self, data: bytes) -> None:
        if self._inbox.has_room():
            self._unparsed += data
            self._arrived_at = self._loop.time()
            self.take()
        else:
            if not self._unparsed:
                self._arrived_at = self._loop.time()
            self._unparsed += data
            self._inbox.add(self, len(data))

    def take(self) -> None:
        """Parse the bytes that arrived."""
        data, self._unparsed = self._unparsed, b""
        if data:
            self._parse(data)

    def arrived_at(self) -> float:
        """When the bytes arrived that are parsed now, on the loop's clock."""
        return self._arrived_at

    def _parse(self, data: bytes) -> None:
        raise NotImplementedError

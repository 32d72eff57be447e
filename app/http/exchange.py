"""One request on a connection, and the response to it."""

from typing import Protocol

from app.ingest.request import RequestHead


class Receiver(Protocol):
    """Handles one request; the connection pushes the body to it as it arrives."""

    def feed(self, chunk: bytes) -> None:
        """Take a part of the body."""

    def end(self, received_at: float, /) -> None:
        """The body is complete.

        Args:
            received_at: when its last byte arrived, on the loop's clock.
        """

    def disconnect(self) -> None:
        """The client is gone, or its request was refused: no response is wanted."""


class Exchange:
    """One request and the response to it.

    Args:
        head: of the request.

    Attributes:
        keep_alive: whether the connection stays open after the response.
        expects_continue: whether the client waits for `100 Continue` with its body.
        is_complete: whether the last byte of the body has arrived.
        completed_at: when it did, on the loop's clock.
        is_started: whether a byte of the response has been written.
        is_answered: whether all of it has.
        receiver: the handler, once the exchange's turn has come.
        early: the part of the body that arrived before that.
    """

    __slots__ = (
        "completed_at",
        "early",
        "expects_continue",
        "head",
        "is_answered",
        "is_complete",
        "is_started",
        "keep_alive",
        "receiver",
    )

    def __init__(self, head: RequestHead) -> None:
        self.head = head
        self.keep_alive = head.keep_alive
        self.expects_continue = head.expects_continue
        self.is_complete = False
        self.completed_at = 0.0
        self.is_started = False
        self.is_answered = False
        self.receiver: Receiver | None = None
        self.early: bytes | bytearray = b""

    def begin(self, receiver: Receiver) -> None:
        """Hand the request to its handler, with the part of its body that is here."""
        self.receiver = receiver
        early, self.early = bytes(self.early), b""
        if early and not self.is_answered:
            receiver.feed(early)
        if self.is_complete and not self.is_answered:
            receiver.end(self.completed_at)

    def feed(self, chunk: bytes) -> None:
        """Take a part of the body; it is discarded once the response is complete."""
        if self.is_answered:
            return
        if self.receiver is None:
            self.early = self.early or bytearray()
            self.early += chunk
        else:
            self.receiver.feed(chunk)

    def end(self, received_at: float) -> None:
        """Take the end of the body.

        Args:
            received_at: when it arrived, on the loop's clock.
        """
        self.is_complete = True
        self.completed_at = received_at
        if self.receiver is not None and not self.is_answered:
            self.receiver.end(received_at)

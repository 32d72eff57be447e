"""A connection to the service, byte by byte, and messages to send over it."""

import json
import select
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import httpx

from tests.support.limits import PATIENCE_S
from tests.support.service.process import Service


class Wire:
    """An open connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._stream = connection.makefile("rb")
        self.send = connection.sendall

    def answer(self) -> tuple[int, dict[str, str], dict[str, Any]]:
        """The next answer: its status, its headers, its JSON; {} for no body."""
        status, headers, body = self.answer_text()
        return status, headers, json.loads(body or "{}")

    def answer_text(self) -> tuple[int, dict[str, str], str]:
        """The next answer, whatever its body is."""
        status = int(self._stream.readline().split()[1])
        lines = iter(lambda: self._stream.readline().decode().strip(), "")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        body = self._stream.read(int(headers.get("content-length", 0)))
        return status, headers, body.decode()

    def close(self) -> None:
        """Release the stream, so that the connection is closed with its socket."""
        self._stream.close()

    def end(self) -> None:
        """Say that nothing more will be sent, unless the service has closed already."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)

    def is_silent(self) -> bool:
        """Whether the service has neither said anything nor left."""
        readable, _, _ = select.select([self._connection], [], [], 0)
        return not readable

    def is_closed(self) -> bool:
        """Whether the service ended the connection, once all is read."""
        return self._stream.read(1) == b""


@contextmanager
def connected(service: Service, *, timeout_s: float = PATIENCE_S) -> Iterator[Wire]:
    with (
        socket.create_connection(service.endpoint, timeout=timeout_s) as connection,
        # The socket stays open as long as a stream reads from it.
        closing(Wire(connection)) as wire,
    ):
        yield wire


def post(service: Service, key: str, message_id: str) -> httpx.Response:
    """Send a good event, on a connection of its own."""
    return httpx.post(
        f"{service.address}/track",
        content=event(message_id),
        headers={
            "authorization": f"Bearer {key}",
            "content-type": "application/json",
        },
        timeout=PATIENCE_S,
    )


def event(message_id: str = "m") -> bytes:
    """A good event as a body."""
    return json.dumps(
        {
            "event": "signed_up",
            "user_id": "u",
            "message_id": message_id,
            "timestamp": "2023-11-02T00:30:08.276Z",
            "properties": {"email": "a@b.c", "name": "A"},
        }
    ).encode()


def head(key: str, *headers: str, length: int | None = None) -> bytes:
    """All that comes before the body."""
    lines = [
        "POST /track HTTP/1.1",
        "Host: rollcall",
        f"Authorization: Bearer {key}",
        "Content-Type: application/json",
        *([] if length is None else [f"Content-Length: {length}"]),
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def request(key: str, body: bytes) -> bytes:
    return head(key, length=len(body)) + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = chunk(b"")

"""One request and its answer on a connection."""

from typing import Any

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

# An extension of ASGI: one message that is the whole answer. Its headers are ours,
# with the length among them, so that nothing in them need be looked at again.
ANSWER = "rollcall.answer"
EXTENSIONS: dict[str, dict[object, object]] = {ANSWER: {}}


class Exchange(RequestResponseCycle):
    """Uvicorn's, which also takes an answer whole, and then writes it in one go."""

    @override
    async def send(self, message: Any) -> None:
        """ASGI, and this extension of it."""
        if self.flow.write_paused:
            await self.flow.drain()
        if self.transport.is_closing():
            # Uvicorn tells this to the newest of several requests alone.
            self.disconnected = True
            self.message_event.set()
            return
        if message["type"] != ANSWER:
            await super().send(message)
            return
        lines = [STATUS_LINE[message["status"]]]
        for name, value in (*self.default_headers, *message["headers"]):
            lines += (name, b": ", value, b"\r\n")
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        if self.scope["method"] != "HEAD":
            lines.append(message["body"])
        self.response_started = self.response_complete = True
        self.transport.write(b"".join(lines))
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

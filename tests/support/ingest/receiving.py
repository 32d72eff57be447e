"""A client as ASGI shows it: its body, and its behaviour afterwards."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from typing import Any, Literal

from app.ingest.dispatch import Receive

Then = Literal["ends", "leaves", "stalls"]


def receiving(*chunks: bytes, then: Then = "ends") -> Receive:
    """An ASGI `receive` of a client that sends these and then ends or not."""
    messages = _messages(*chunks, then=then)

    async def receive() -> MutableMapping[str, Any]:
        return await anext(messages)

    return receive


async def _messages(
    *chunks: bytes, then: Then
) -> AsyncIterator[MutableMapping[str, Any]]:
    for chunk in chunks:
        yield {"type": "http.request", "body": chunk, "more_body": True}
    if then == "stalls":
        await asyncio.Event().wait()
    if then == "ends":
        yield {"type": "http.request"}
    while True:
        yield {"type": "http.disconnect"}

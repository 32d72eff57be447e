"""Readers: a key of theirs, and a browser's way to sign in."""

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from app.store.keys.keys import create_key
from tests.support.app.client import Api

FORM = {"content-type": "application/x-www-form-urlencoded"}
# Headers of a browser that submits a form of our own page.
OURS = {"sec-fetch-site": "same-origin", "origin": "http://rollcall"}


async def read_key(engine: AsyncEngine, reader: str = "ann") -> str:
    async with engine.begin() as connection:
        return await create_key(connection, source=reader, scope="read")


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def browser(api: Api) -> httpx.AsyncClient:
    """A client with cookies, and without a key."""
    return httpx.AsyncClient(
        transport=api.client._transport,  # noqa: SLF001 - the same app
        base_url="http://rollcall",
    )

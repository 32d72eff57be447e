"""The console: a browser that is signed in, and the token of its forms."""

import httpx

from app.store.keys.keys import create_key
from tests.support.app.client import Api
from tests.support.app.read_api import OURS, browser


async def signed_in(api: Api, *, scope: str = "read") -> httpx.AsyncClient:
    """A browser of a reader, which says that its forms come from our own pages."""
    tab = browser(api)
    async with api.engine.begin() as connection:
        key = await create_key(connection, source="desk", scope=scope)
    await tab.post("/sign-in", data={"key": key}, headers=OURS)
    tab.headers.update(OURS)
    return tab


async def token_of(tab: httpx.AsyncClient, path: str = "/rejected") -> str:
    """The token in the first form of a page."""
    page = (await tab.get(path)).text
    return page.partition('name="form_token" value="')[2].partition('"')[0]

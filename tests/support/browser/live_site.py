"""A browser that is signed in, and senders that it sees."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import httpx
from playwright.async_api import Page, expect

from tests.support.browser.keyboard import follow
from tests.support.browser.site import Site
from tests.support.limits import PATIENCE_S
from tests.support.pipeline.verdicts import signed_up_with

ROWS = "#arrivals tr"


async def read_key(site: Site) -> str:
    """A key of the reader `ann`."""
    return await asyncio.to_thread(site.database.key, "ann", scope="read")


async def sign_in(page: Page, site: Site, *, to: str) -> None:
    """Sign in on the way to a page."""
    await page.goto(to)
    await page.fill("#key", await read_key(site))
    await page.click("main button[type=submit]")
    await page.wait_for_url(f"{site.address}{to}")


async def watch(page: Page, site: Site, path: str = "/live") -> None:
    """Sign in and open the live page; returns once the stream flows."""
    await sign_in(page, site, to=path)
    await expect(page.locator("#state")).to_have_text("live")


async def watch_own_source(page: Page, site: Site, source: str) -> Site:
    """Watch a source of this test alone; returns the site with a key of it.

    Events that earlier tests have sent can arrive on the page during this one.
    """
    await watch(page, site)
    key = await asyncio.to_thread(site.database.key, source)
    await page.fill("#source", source)
    await follow(page)
    await expect(page.locator("#state")).to_have_text("live")
    return replace(site, write_key=key)


def signed_up(user_id: str, **changes: Any) -> dict[str, Any]:
    return signed_up_with(user_id=user_id, **changes)


async def send(site: Site, events: Sequence[Any]) -> list[dict[str, Any]]:
    """Send them in one body, as any backend does; returns the results."""
    async with httpx.AsyncClient(base_url=site.address, timeout=PATIENCE_S) as client:
        response = await client.post(
            "/track",
            json=list(events),
            headers={"authorization": f"Bearer {site.write_key}"},
        )
    found: list[dict[str, Any]] = response.json()["results"]
    return found

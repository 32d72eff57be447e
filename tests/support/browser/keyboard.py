"""The keyboard as the only way through a page."""

import asyncio

from playwright.async_api import Locator, Page, expect

from tests.support.browser.site import Site

MOST_TABS = 80


async def tab_to(page: Page, target: Locator) -> None:
    """Move the focus to an element with the Tab key alone."""
    await target.wait_for()
    for _ in range(MOST_TABS):
        await page.keyboard.press("Tab")
        if await target.evaluate("each => each === document.activeElement"):
            return
    raise AssertionError(f"the keyboard does not reach {target}")


async def follow(page: Page) -> None:
    """Press Enter, and wait for the page that it leads to.

    Playwright does not wait for it, so that the next step could act on the old page.
    """
    async with page.expect_navigation():
        await page.keyboard.press("Enter")


async def sign_in(page: Page, site: Site, *, scope: str, to: str) -> None:
    """Sign in with a new key of a scope, on the way to a page."""
    key = await asyncio.to_thread(site.database.key, "boss", scope=scope)
    await page.goto(f"/sign-in?next={to}")
    await expect(page.locator("#key")).to_be_focused()
    await page.keyboard.type(key)
    await page.keyboard.press("Enter")
    await page.wait_for_url(to)

"""The keyboard as the only way through a page."""

from playwright.async_api import Locator, Page

MOST_TABS = 80


async def tab_to(page: Page, target: Locator) -> None:
    """Move the focus to an element with the Tab key alone."""
    await target.wait_for()
    for _ in range(MOST_TABS):
        await page.keyboard.press("Tab")
        if await target.evaluate("each => each === document.activeElement"):
            return
    raise AssertionError(f"the keyboard does not reach {target}")

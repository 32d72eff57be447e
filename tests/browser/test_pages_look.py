"""Public pages: accessible in light and dark, and on a phone."""

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import PHONE, Judge

PAGES = [
    "/",
    "/nope",
    "/events",
    "/events/nope",
    "/events/signed_up",
    "/events/account_added_user",
    "/sign-in",
    "/sign-in?code=x",
]


@pytest.mark.parametrize("path", PAGES)
async def test_page_is_accessible(page: Page, axe: Judge, path: str) -> None:
    await page.goto(path)
    await axe(page)


@pytest.mark.parametrize("path", PAGES)
async def test_page_fits_a_phone(page: Page, axe: Judge, path: str) -> None:
    await page.set_viewport_size(PHONE)
    await page.goto(path)
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]
    await axe(page, is_resized=True)


async def test_keyboard_skips_to_the_content(page: Page) -> None:
    await page.goto("/")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "main"


async def test_browser_signs_in_and_out(signed_in: Page, axe: Judge) -> None:
    await axe(signed_in)
    await signed_in.get_by_role("button", name="Sign out").click()
    await signed_in.wait_for_url("/sign-in")
    await expect(signed_in.get_by_role("link", name="Sign in")).to_be_visible()

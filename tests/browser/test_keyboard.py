"""The main task of each page with the keyboard alone."""

import pytest_asyncio
from playwright.async_api import Page, expect

from tests.support.browser.keyboard import follow, sign_in, tab_to
from tests.support.browser.live_site import send, signed_up
from tests.support.browser.site import Site


@pytest_asyncio.fixture(loop_scope="session")
async def operator(page: Page, site: Site) -> Page:
    """The page of a browser that signed in with the scope `operate`, by keyboard."""
    await sign_in(page, site, scope="operate", to="/rejected")
    return page


async def test_rejected_event_is_corrected(
    operator: Page, site: Site, user: str
) -> None:
    await send(site, [signed_up(user, event=user)])
    await tab_to(operator, operator.locator("#event"))
    await operator.keyboard.type(user)
    await follow(operator)
    await expect(operator.locator("#selection input[name=id]")).to_have_count(1)
    await tab_to(operator, operator.locator("td.time a"))
    await follow(operator)
    editor = operator.get_by_label("Payload, as JSON")
    await tab_to(operator, editor)
    text = (await editor.input_value()).replace(
        f'"event": "{user}"', '"event": "signed_up"'
    )
    await operator.keyboard.press("Control+A")
    await operator.keyboard.insert_text(text)
    # Tab leaves the editor.
    await tab_to(operator, operator.get_by_role("button", name="Check"))
    await operator.keyboard.press("Enter")
    await expect(operator.locator("#verdict")).to_contain_text("The payload is valid.")
    store = operator.get_by_role("button", name="Store the corrected event")
    await tab_to(operator, store)
    await follow(operator)
    await expect(operator.locator(".notice-success")).to_contain_text("stored as")
    stored = "SELECT count(*) FROM events WHERE user_id = :user"
    assert await site.rows(stored, user=user) == [(1,)]


async def test_selection_is_purged(operator: Page, site: Site, user: str) -> None:
    await send(site, [signed_up(user, event=user)])
    await operator.goto(f"/rejected?event={user}")
    await tab_to(operator, operator.locator("#selection input[name=id]"))
    await operator.keyboard.press("Space")
    await tab_to(operator, operator.get_by_role("button", name="Purge selected"))
    await follow(operator)
    await expect(operator.locator("h1")).to_have_text("Purge 1 rejected event?")
    await tab_to(operator, operator.get_by_role("button", name="Purge for good"))
    await follow(operator)
    await expect(operator.locator("h1")).to_have_text("1 rejected event deleted")


async def test_key_is_created_and_revoked(operator: Page, user: str) -> None:
    await tab_to(operator, operator.get_by_role("link", name="Sources"))
    await follow(operator)
    await tab_to(operator, operator.get_by_label("Source", exact=True))
    await operator.keyboard.type(user)
    await follow(operator)
    await expect(operator.locator("h1")).to_have_text("Key created")
    await tab_to(operator, operator.get_by_role("link", name="Back to the source"))
    await follow(operator)
    await tab_to(operator, operator.locator("summary", has_text="Replace"))
    await operator.keyboard.press("Enter")
    await tab_to(operator, operator.get_by_role("button", name="Revoke for good"))
    await follow(operator)
    await expect(operator.get_by_text("revoked 20")).to_have_count(1)


async def test_chart_is_switched_and_read(
    operator: Page, site: Site, user: str
) -> None:
    await send(site, [signed_up(user, timestamp="2026-11-20")])
    await operator.goto("/overview?span=quarter")
    await tab_to(operator, operator.get_by_role("link", name="log", exact=True))
    await follow(operator)
    assert "scale=log" in operator.url
    chart = operator.get_by_role("slider").first
    await tab_to(operator, chart)
    await operator.keyboard.press("Home")
    first = await chart.get_attribute("aria-valuetext")
    await operator.keyboard.press("End")
    assert await chart.get_attribute("aria-valuetext") != first

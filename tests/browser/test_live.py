"""What arrives is seen within a second, and can be read whole."""

import asyncio
import json
import secrets

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.conftest import PHONE, Judge
from tests.support.browser.complaints import Complaints
from tests.support.browser.live_site import ROWS, send, sign_in, signed_up, watch
from tests.support.browser.site import Site

# From the beginning of its transaction, by the clock of this machine.
SEEN_WITHIN_MS = 1_000
STORED_AT = """
SELECT CAST(extract(epoch FROM stored_at) * 1000 AS float)
FROM events WHERE user_id = :user
"""
SEEN_AT = """user => new Promise(resolve => {
  const seen = () => [...document.querySelectorAll("#arrivals bdi")].some(
    place => place.textContent === user);
  const check = () => seen() ? resolve(Date.now()) : requestAnimationFrame(check);
  check();
})"""


@pytest.fixture
def user() -> str:
    return f"user-{secrets.token_hex(4)}"


async def test_what_is_stored_is_seen_within_a_second_and_read(
    page: Page, site: Site, user: str
) -> None:
    await watch(page, site)
    seen = asyncio.ensure_future(page.evaluate(SEEN_AT, user))
    [result] = await send(
        site, [signed_up(user, properties={"email": "ann@example.com", "n": 10**30})]
    )
    [[stored_at]] = await site.rows(STORED_AT, user=user)
    assert await seen - stored_at < SEEN_WITHIN_MS

    row = page.locator(ROWS, has_text=user)
    await expect(row).to_contain_text("stored")
    await row.locator("button").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text(result["id"])
    # All digits of it.
    await expect(dialog).to_contain_text(str(10**30))
    assert f"WHERE id = '{result['id']}'" in await dialog.inner_text()
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(row.locator("button")).to_be_focused()


async def test_what_is_rejected_is_seen_with_its_reasons(
    page: Page, site: Site, user: str
) -> None:
    await watch(page, site)
    await send(site, [signed_up(user, timestamp="yesterday")])
    row = page.locator(ROWS, has_text=user)
    await expect(row).to_contain_text("rejected")
    await expect(row).to_contain_text("invalid_timestamp")
    await row.click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("Why it was rejected")
    await expect(dialog).to_contain_text('"timestamp": "yesterday"')


async def test_a_pause_counts_and_then_shows(page: Page, site: Site, user: str) -> None:
    await watch(page, site)
    await page.click("#pause")
    await send(site, [signed_up(user)])
    await expect(page.locator("#tally")).to_contain_text("Paused; 1 arrived since.")
    await expect(page.locator(ROWS, has_text=user)).to_have_count(0)
    await page.click("#pause")
    await expect(page.locator(ROWS, has_text=user)).to_have_count(1)


async def test_a_filter_is_a_link_that_shows_only_what_matches(
    page: Page, site: Site, user: str
) -> None:
    await watch(page, site)
    await page.fill("#user_id", user)
    await page.select_option("#status", "rejected")
    await page.click("text=Filter >> visible=true")
    await expect(page.locator("#state")).to_have_text("live")
    assert f"user_id={user}" in page.url
    await expect(page.locator("#user_id")).to_have_value(user)
    await send(site, [signed_up(user), signed_up("somebody-else", timestamp="x")])
    await send(site, [signed_up(user, timestamp="x")])
    row = page.locator(ROWS)
    await expect(row).to_have_count(1)
    await expect(row).to_contain_text("rejected")


async def test_the_last_hour_is_drawn(page: Page, site: Site, user: str) -> None:
    await watch(page, site)
    await send(site, [signed_up(user)])
    bars = page.locator("#minutes rect.series-1")
    await expect(bars.first).to_be_visible()
    await page.click("#minutes-details summary")
    await expect(page.locator("#minutes-rows tr")).to_have_count(60, timeout=30_000)


async def test_after_a_restart_of_the_stream_no_row_comes_twice(
    page: Page, site: Site, user: str
) -> None:
    await watch(page, site)
    await send(site, [signed_up(user)])
    await expect(page.locator(ROWS, has_text=user)).to_have_count(1)
    await page.context.set_offline(offline=True)
    await send(site, [signed_up(f"{user}-meanwhile")])
    await page.context.set_offline(offline=False)
    await expect(page.locator(ROWS, has_text=f"{user}-meanwhile")).to_have_count(1)
    await expect(page.locator(ROWS, has_text=user)).to_have_count(2)


async def test_it_is_told_whose_time_is_shown(page: Page, site: Site) -> None:
    await watch(page, site)
    zone = await page.evaluate("new Intl.DateTimeFormat().resolvedOptions().timeZone")
    told = page.get_by_text(f"Times are those of your time zone ({zone})")
    await expect(told).to_be_visible()


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("overloaded", "As many watch this as one worker lets."),
        ("unavailable", "The database does not answer."),
    ],
)
async def test_why_a_stream_is_refused_is_told(
    page: Page, site: Site, complaints: Complaints, code: str, told: str
) -> None:
    async def refuse(route: Route) -> None:
        await route.fulfill(status=503, json={"code": code})

    await page.route("**/live/stream*", refuse)
    await sign_in(page, site, to="/live")
    await expect(page.locator("#trouble")).to_contain_text(told)
    assert all("503" in line for line in complaints.heard)
    complaints.heard.clear()


@pytest.mark.parametrize("path", ["/live", "/overview", "/overview/rejected"])
async def test_the_pages_are_accessible_and_fit_a_phone(
    page: Page, site: Site, axe: Judge, user: str, path: str
) -> None:
    await watch(page, site)
    await send(site, [signed_up(user), signed_up(user, timestamp="yesterday")])
    await expect(page.locator(ROWS, has_text=user)).to_have_count(2)
    if path != "/live":
        await page.goto(path)
    await axe(page)
    await page.set_viewport_size(PHONE)
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]
    await axe(page)


async def test_the_dialog_is_accessible_and_reached_by_keyboard(
    page: Page, site: Site, axe: Judge, user: str
) -> None:
    await watch(page, site)
    await send(site, [signed_up(user)])
    button = page.locator(ROWS, has_text=user).locator("button")
    await button.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_contain_text(user)
    await axe(page)


async def test_the_overview_shows_figures_and_runs_as_it_says(
    page: Page, site: Site, user: str
) -> None:
    await watch(page, site)
    await send(site, [signed_up(user, timestamp="yesterday")])
    await page.goto("/overview")
    await page.click("text=invalid_timestamp")
    await expect(page.locator("h1")).to_have_text("Rejected events")
    await expect(page.locator("article").first).to_contain_text("invalid_timestamp")
    await page.click("article details summary >> nth=0")
    assert json.loads(await page.inner_text("article pre >> nth=0"))

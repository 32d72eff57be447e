"""Live page: events appear within a second, and can be opened."""

import asyncio

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.conftest import PHONE, Judge
from tests.support.browser.complaints import Complaints
from tests.support.browser.keyboard import follow
from tests.support.browser.live_site import (
    ROWS,
    send,
    sign_in,
    signed_up,
    watch,
    watch_own_source,
)
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


async def seen_after_ms(page: Page, site: Site, user: str) -> float:
    """Time from the begin of an event's transaction until the page shows it."""
    seen = asyncio.ensure_future(page.evaluate(SEEN_AT, user))
    await send(site, [signed_up(user)])
    [[stored_at]] = await site.rows(STORED_AT, user=user)
    return await seen - stored_at  # type: ignore[no-any-return] # from JavaScript


async def test_live_stored_event_appears_within_a_second(
    page: Page, site: Site, user: str
) -> None:
    await watch(page, site)
    least_ms = float("inf")
    for number in range(10):  # a busy machine delays some of them
        delay_ms = await seen_after_ms(page, site, f"{user}-{number}")
        least_ms = min(least_ms, delay_ms)
        if least_ms < SEEN_WITHIN_MS:
            break
    assert least_ms < SEEN_WITHIN_MS

    last = f"last-{user}"
    [result] = await send(
        site, [signed_up(last, properties={"email": "ann@example.com", "n": 10**30})]
    )
    row = page.locator(ROWS, has_text=last)
    await expect(row).to_contain_text("stored")
    await row.locator("button").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text(result["id"])
    # All digits of it.
    await expect(dialog).to_contain_text(str(10**30))
    assert f"WHERE id = '{result['id']}'" in await dialog.inner_text()
    assert "[object Object]" not in await dialog.inner_text()
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(row.locator("button")).to_be_focused()


async def test_live_rejected_event_shows_its_reasons(
    page: Page, site: Site, user: str
) -> None:
    await watch(page, site)
    await send(site, [signed_up(user, timestamp="yesterday")])
    row = page.locator(ROWS, has_text=user)
    await expect(row).to_contain_text("rejected")
    await expect(row).to_contain_text("invalid_timestamp")
    await row.click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("Errors")
    await expect(dialog).to_contain_text('"timestamp": "yesterday"')


async def test_live_pause_counts_and_resume_shows(
    page: Page, site: Site, user: str
) -> None:
    site = await watch_own_source(page, site, f"pause-{user}")
    await page.click("#pause")
    await send(site, [signed_up(user)])
    await expect(page.locator("#tally")).to_contain_text("Paused; 1 arrived since.")
    await expect(page.locator(ROWS, has_text=user)).to_have_count(0)
    await page.click("#pause")
    await expect(page.locator(ROWS, has_text=user)).to_have_count(1)


async def test_live_filter_is_part_of_the_address(
    page: Page, site: Site, user: str
) -> None:
    await watch(page, site)
    await page.fill("#user_id", user)
    await page.select_option("#status", "rejected")
    async with page.expect_navigation():
        await page.click("text=Filter >> visible=true")
    await expect(page.locator("#state")).to_have_text("live")
    assert f"user_id={user}" in page.url
    await expect(page.locator("#user_id")).to_have_value(user)
    await send(site, [signed_up(user), signed_up("somebody-else", timestamp="x")])
    await send(site, [signed_up(user, timestamp="x")])
    row = page.locator(ROWS)
    await expect(row).to_have_count(1)
    await expect(row).to_contain_text("rejected")


async def test_live_chart_shows_last_hour(page: Page, site: Site, user: str) -> None:
    await watch(page, site)
    await send(site, [signed_up(user)])
    bars = page.locator("#minutes rect.series-1")
    await expect(bars.first).to_be_visible()
    await page.click("#minutes-details summary")
    await expect(page.locator("#minutes-rows tr")).to_have_count(60)


async def test_live_reconnect_repeats_no_row(page: Page, site: Site, user: str) -> None:
    await watch(page, site)
    await send(site, [signed_up(user)])
    await expect(page.locator(ROWS, has_text=user)).to_have_count(1)
    await page.context.set_offline(offline=True)
    await send(site, [signed_up(f"{user}-meanwhile")])
    await page.context.set_offline(offline=False)
    await expect(page.locator(ROWS, has_text=f"{user}-meanwhile")).to_have_count(1)
    await expect(page.locator(ROWS, has_text=user)).to_have_count(2)


async def test_live_times_are_utc_in_table_and_chart(
    page: Page, site: Site, user: str
) -> None:
    await watch(page, site)
    [result] = await send(site, [signed_up(user)])
    [[stored_at]] = await site.rows(
        "SELECT to_char(stored_at AT TIME ZONE 'UTC', 'HH24:MI:SS.MS') FROM events"
        " WHERE id = :id",
        id=result["id"],
    )
    row = page.locator(ROWS, has_text=user)
    await expect(row.locator("button")).to_have_text(stored_at)
    minute = f"{stored_at[:5]} UTC"
    bucket = page.locator(f"#minutes .bucket[data-label='{minute}']")
    await bucket.wait_for(state="attached")
    await page.locator("#minutes").focus()
    await page.keyboard.press("End")
    readout = page.locator("figure.minutes .readout")
    await expect(readout).to_contain_text(" UTC: ")
    if minute not in await readout.inner_text():  # a new minute has begun
        await page.keyboard.press("ArrowLeft")
    await expect(readout).to_contain_text(f"{minute}: ")
    await expect(readout).to_contain_text(" stored, ")


async def test_live_filter_by_reason_suggests_known_values(
    page: Page, site: Site, user: str
) -> None:
    own = await watch_own_source(page, site, f"reasons-{user}")
    for name, value in (
        ("event", "signed_up"),
        ("source", "shop"),
        ("reason", "invalid_timestamp"),
    ):
        option = page.locator(f"#{name}-options option[value={value}]")
        await expect(option).to_have_count(1)
    await page.fill("#reason", "unknown_event")
    await follow(page)
    await expect(page.locator("#state")).to_have_text("live")
    await send(own, [signed_up(user, timestamp="x"), signed_up(user, event="x")])
    await expect(page.locator(ROWS)).to_have_count(1)
    await expect(page.locator(ROWS)).to_contain_text("unknown_event")
    await expect(page.locator("#tally")).to_have_text("1 row shown.")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("overloaded", "Too many live pages are open."),
        ("unavailable", "The database does not respond."),
    ],
)
async def test_live_refused_stream_shows_the_reason(
    page: Page, site: Site, complaints: Complaints, code: str, told: str
) -> None:
    async def refuse(route: Route) -> None:
        await route.fulfill(status=503, json={"code": code})

    await page.route("**/live/stream*", refuse)
    await sign_in(page, site, to="/live")
    await expect(page.locator("#trouble")).to_contain_text(told)
    assert all("503" in line for line in complaints.heard)
    complaints.heard.clear()


@pytest.mark.parametrize("path", ["/live", "/overview"])
async def test_live_page_is_accessible_and_fits_a_phone(
    page: Page, site: Site, axe: Judge, user: str, path: str
) -> None:
    own = await watch_own_source(page, site, f"axe-{user}")  # few rows to check
    await send(own, [signed_up(user), signed_up(user, timestamp="yesterday")])
    await expect(page.locator(ROWS, has_text=user)).to_have_count(2)
    if path != "/live":
        await page.goto(path)
    await axe(page)
    await page.set_viewport_size(PHONE)
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]
    await axe(page, is_resized=True)


async def test_live_dialog_is_accessible_by_keyboard(
    page: Page, site: Site, axe: Judge, user: str
) -> None:
    await watch(page, site)
    await send(site, [signed_up(user)])
    button = page.locator(ROWS, has_text=user).locator("button")
    await button.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_contain_text(user)
    await axe(page)

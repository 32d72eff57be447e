"""The console as an operator uses it: Home, charts, search, sources and reference."""

from datetime import UTC, datetime

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import PHONE, Judge
from tests.support.browser.keyboard import follow
from tests.support.browser.live_site import send, signed_up
from tests.support.browser.site import Site
from tests.support.pipeline.verdicts import added_user_with

PAGES = [
    "/",
    "/overview?span=hour",
    "/overview?span=quarter&scale=log",
    "/rejected",
    "/find?q={user}",
    "/sources",
    "/sources/shop",
    "/docs",
]


async def fill(site: Site, user: str) -> None:
    """Some events of a user: stored, mentioned and rejected."""
    await send(
        site,
        [
            signed_up(user, properties={"email": f"{user}@example.com"}),
            signed_up(user, timestamp="2026-11-20"),
            signed_up(user, timestamp="yesterday"),
            added_user_with(
                user_id=f"{user}-boss",
                context={"group_id": f"{user}-account"},
                properties={"user_role": "admin", "user_email": f"{user}@example.com"},
            ),
        ],
    )


@pytest.mark.parametrize("path", PAGES)
async def test_page_is_accessible_and_fits_a_phone(
    signed_in: Page, site: Site, axe: Judge, user: str, path: str
) -> None:
    await fill(site, user)
    await signed_in.goto(path.format(user=user))
    await axe(signed_in)
    await signed_in.set_viewport_size(PHONE)
    width = await signed_in.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]
    await axe(signed_in, is_resized=True)


async def test_home_counts_and_follows_new_events(
    signed_in: Page, site: Site, user: str
) -> None:
    await fill(site, user)
    await signed_in.goto("/")
    await expect(signed_in.locator("#state")).to_contain_text("Storing events")
    await send(site, [signed_up(f"{user}-{number}") for number in range(5)])
    [[stored]] = await site.rows("SELECT count(*) FROM events WHERE source = 'shop'")
    hour = signed_in.locator("[data-cell='source shop hour']")
    # Reports are reused for ten seconds.
    await expect(hour).to_have_text(f"{stored:,}")
    reason = signed_in.get_by_role("link", name="invalid_timestamp")
    await reason.click()
    await expect(signed_in.locator("h1")).to_have_text("Rejected events")


async def test_chart_shows_values_on_hover_and_by_keyboard(
    signed_in: Page, site: Site, user: str
) -> None:
    await send(site, [signed_up(user, timestamp=datetime.now(UTC).isoformat())])
    await signed_in.goto("/overview?span=day")
    figure = signed_in.locator("figure.chart").first
    readout = figure.locator(".readout")
    await figure.locator(".bucket").last.hover()
    await expect(readout).to_contain_text(" sent")
    hovered = await readout.inner_text()
    await figure.locator("svg").focus()
    await signed_in.keyboard.press("ArrowLeft")
    await expect(readout).not_to_have_text(hovered)
    await signed_in.keyboard.press("End")
    await expect(readout).to_have_text(hovered)
    value = await figure.locator("svg").get_attribute("aria-valuetext")
    assert value == hovered
    await figure.get_by_text("As a table").click()
    await expect(figure.locator("tbody tr")).to_have_count(48)
    await signed_in.get_by_role("link", name="log").click()
    await expect(figure.locator(".y-axis span").last).to_have_text("0")


@pytest.mark.parametrize(
    ("term", "kinds"),
    [
        ("{user}", ["rejected", "stored", "stored"]),
        ("{user}@example.com", ["mentioned", "stored"]),
        ("{user}-account", ["stored"]),
    ],
)
async def test_person_is_found(
    signed_in: Page, site: Site, user: str, term: str, kinds: list[str]
) -> None:
    await fill(site, user)
    await signed_in.goto("/find")
    await signed_in.locator("#q").fill(term.format(user=user))
    await follow(signed_in)
    entries = signed_in.locator(".timeline > li")
    await expect(entries).to_have_count(len(kinds))
    found = await entries.evaluate_all("all => all.map(each => each.dataset.kind)")
    assert sorted(found) == kinds
    await signed_in.locator("details.sql summary").first.click()
    sql = await signed_in.locator("details.sql pre").first.inner_text()
    assert len(await site.rows(sql.rstrip(";"))) == len(kinds) - ("rejected" in kinds)


async def test_source_leads_to_its_warnings_and_events(
    signed_in: Page, site: Site, user: str
) -> None:
    await fill(site, user)
    await signed_in.goto("/sources")
    await signed_in.get_by_role("link", name="shop").click()
    await expect(signed_in.locator("h1")).to_have_text("shop")
    row = signed_in.locator("tr", has_text="time_assumed_midnight")
    await row.get_by_role("link", name="Event").click()
    await expect(signed_in.locator(".timeline > li")).to_have_count(1)


async def test_reference_begins_with_ingest_and_leads_back(page: Page) -> None:
    await page.goto("/docs")
    await expect(page.locator("h3").first).to_contain_text("/track")
    await expect(page.locator("article .code-string").first).to_be_visible()
    await page.locator("article details summary").first.click()
    await expect(page.locator("article details li").first).to_have_text("/api/track")
    await page.get_by_role("link", name="Home").first.click()
    await page.wait_for_url("/")


async def test_event_page_has_languages_as_tabs_with_colours(page: Page) -> None:
    await page.goto("/events/signed_up")
    tabs = page.get_by_role("tab")
    await expect(tabs.first).to_have_attribute("aria-selected", "true")
    await expect(page.get_by_role("tabpanel")).to_have_count(1)
    await tabs.first.focus()
    await page.keyboard.press("ArrowRight")
    await expect(tabs.nth(1)).to_be_focused()
    panel = page.get_by_role("tabpanel")
    await expect(panel).to_have_attribute("aria-labelledby", "tab-1")
    await expect(panel.locator(".code-string").first).to_be_visible()
    assert "YOUR_WRITE_KEY" in await panel.inner_text()

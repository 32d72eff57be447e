"""An operator in the browser: correct, replay and purge events, manage keys."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.conftest import PHONE, Judge
from tests.support.browser.hostile import PAYLOADS
from tests.support.browser.keyboard import follow, sign_in
from tests.support.browser.live_site import send, signed_up
from tests.support.browser.site import Site
from tests.support.limits import OUTAGE
from tests.support.postgres.proxy import Proxy
from tests.support.service.process import served


@pytest_asyncio.fixture(loop_scope="session")
async def operator(page: Page, site: Site) -> Page:
    """The page of a browser that is signed in with a key of the scope `operate`."""
    await sign_in(page, site, scope="operate", to="/rejected")
    return page


async def test_rejected_event_is_found_corrected_and_stored(
    operator: Page, site: Site, axe: Judge, user: str
) -> None:
    [result] = await send(site, [signed_up(user, timestamp="yesterday")])
    await operator.goto(f"/find?q={user}")
    await operator.locator(".timeline a").first.click()
    await expect(operator).to_have_url(f"{site.address}/rejected/{result['id']}")
    editor = operator.get_by_label("Payload, as JSON")
    await operator.get_by_role("button", name="Check").click()
    verdict = operator.locator("#verdict")
    await expect(verdict).to_contain_text("invalid_timestamp")
    marked = await operator.locator(".gutter .error").all_inner_texts()
    text = await editor.input_value()
    assert '"timestamp": "yesterday"' in text.split("\n")[int(marked[0]) - 1]
    await axe(operator)

    await editor.fill(text.replace("yesterday", "2026-11-20T10:00:00Z"))
    await operator.get_by_role("button", name="Check").click()
    await expect(verdict).to_contain_text("The payload is valid.")
    await operator.get_by_role("button", name="Store the corrected event").click()
    await expect(operator.locator(".notice-success")).to_contain_text("stored as")
    await axe(operator)
    [[event, warnings]] = await site.rows(
        "SELECT id, warnings FROM events WHERE user_id = :user", user=user
    )
    assert warnings[-1]["code"] == "corrected_by_operator"
    [[payload, corrected_as]] = await site.rows(
        "SELECT payload, corrected_as FROM rejected_events WHERE id = :id",
        id=result["id"],
    )
    assert "yesterday" in payload
    assert corrected_as == event


async def test_selection_is_replayed_and_a_filter_is_purged(
    operator: Page, site: Site, axe: Judge, user: str
) -> None:
    await send(site, [signed_up(f"{user}-{n}", event=user) for n in range(3)])
    await operator.goto("/rejected")
    await operator.locator("#event").fill(user)
    await follow(operator)
    boxes = operator.locator("#selection input[name=id]")
    await expect(boxes).to_have_count(3)
    await axe(operator)
    await boxes.first.check()
    await operator.get_by_role("button", name="Replay selected").click()
    await expect(operator.locator("#result")).to_contain_text("1 still rejected")
    await axe(operator)

    await operator.goto(f"/rejected?event={user}")
    await operator.get_by_role("button", name="Select all on this page").click()
    await expect(operator.locator("#selection input:checked")).to_have_count(3)
    await operator.get_by_role("button", name="Purge all 3 that match").click()
    await expect(operator.locator("h1")).to_have_text("Purge 3 rejected events?")
    await axe(operator)
    await operator.get_by_role("button", name="Purge for good").click()
    await expect(operator.locator("h1")).to_have_text("3 rejected events deleted")
    kept = "SELECT count(*) FROM rejected_events WHERE event = :event"
    assert await site.rows(kept, event=user) == [(0,)]


async def test_operator_creates_rotates_and_revokes_keys(
    operator: Page, site: Site, axe: Judge, user: str
) -> None:
    await operator.goto("/sources")
    await operator.get_by_label("Source", exact=True).fill(user)
    await operator.get_by_role("button", name="Create key").click()
    await expect(operator.locator("h1")).to_have_text("Key created")
    await axe(operator)
    key = await operator.locator("figure.code pre").inner_text()
    async with httpx.AsyncClient(base_url=site.address, timeout=60) as client:
        headers = {"authorization": f"Bearer {key}"}
        sent = await client.post("/track", json=signed_up(user), headers=headers)
        assert sent.status_code == 200
    await operator.get_by_role("link", name="Back to the source").click()
    await operator.get_by_text("Replace").click()
    await axe(operator)
    await operator.get_by_role("button", name="Rotate").click()
    assert await operator.locator("figure.code pre").inner_text() != key
    await operator.get_by_role("link", name="Back to the source").click()
    await operator.get_by_text("Replace").first.click()
    await operator.get_by_role("button", name="Revoke for good").first.click()
    await expect(operator.get_by_text("revoked 20")).to_have_count(1)


async def test_hostile_texts_are_shown_as_text_on_every_page(
    operator: Page, site: Site
) -> None:
    stored = [
        signed_up(f"u{text}"[:255], context={"group_id": f"g{text}"[:255]})
        for text in PAYLOADS
    ]
    rejected = [
        signed_up(f"r{text}"[:255], event=text, message_id=f"m{text}", **{text: text})
        | {"timestamp": text}
        for text in PAYLOADS
    ]
    results = await send(site, [*stored, *rejected])
    for path in ("/", "/rejected", "/overview", "/sources", "/sources/shop"):
        await operator.goto(path)
        await expect(operator.locator("h1")).to_have_count(1)
    for result in results[len(stored) :]:
        await operator.goto(f"/rejected/{result['id']}")
        await expect(operator.locator("#errors")).to_be_visible()
    await operator.goto("/find")
    for text in PAYLOADS:
        await operator.locator("#q").fill(f"u{text}"[:255])
        await follow(operator)
        await expect(operator.locator("h1")).to_have_text("Find")
    await operator.goto("/rejected?reason=%3Cscript%3Ealert(1)%3C/script%3E")
    assert await operator.input_value("#reason") == "<script>alert(1)</script>"


@pytest.mark.parametrize("path", ["/rejected", "/sources", "/sources/shop"])
async def test_page_with_actions_is_accessible_and_fits_a_phone(
    operator: Page, site: Site, axe: Judge, user: str, path: str
) -> None:
    await send(site, [signed_up(user, timestamp="yesterday")])
    await operator.set_viewport_size(PHONE)
    await operator.goto(path)
    width = await operator.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]
    await axe(operator)


@pytest_asyncio.fixture(loop_scope="session")
async def shaky(site: Site, tmp_path: Path) -> AsyncIterator[tuple[str, Proxy]]:
    """A service with two workers on the same database, which a test may take away."""
    async with Proxy(site.database.url).listening() as proxy:
        with ExitStack() as stack:
            started = served(
                proxy.url,
                tmp_path,
                data_dir=str(tmp_path / "data"),
                workers="2",
                **OUTAGE,
            )
            service = await asyncio.to_thread(stack.enter_context, started)
            yield service.address, proxy
            await asyncio.to_thread(stack.close)


async def test_home_shows_an_outage_from_its_begin_to_its_end(
    page: Page,
    site: Site,
    shaky: tuple[str, Proxy],
    user: str,
) -> None:
    address, proxy = shaky
    await page.goto(f"{address}/sign-in?next=/")
    await page.locator("#key").fill(site.read_key)
    await page.locator("main button[type=submit]").click()
    state = page.locator("#state")
    await expect(state).to_have_attribute("data-mode", "storing")
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        headers = {"authorization": f"Bearer {site.write_key}"}
        await client.post("/track", json=signed_up(user), headers=headers)
        proxy.freeze()
        await expect(state).to_have_attribute("data-mode", "buffering")
        sent = await client.post("/track", json=signed_up(f"{user}-2"), headers=headers)
        assert sent.json()["results"][0]["status"] == "buffered"
    waiting = page.locator("[data-cell=waiting]")
    await expect(waiting).to_have_text("1")
    # Whichever worker takes a connection, also if it has not seen this browser yet.
    jar = await page.context.cookies()
    cookies = "; ".join(f"{each['name']}={each['value']}" for each in jar)
    for _ in range(4):
        async with httpx.AsyncClient(base_url=address, timeout=60) as fresh:
            shown = await fresh.get("/", headers={"cookie": cookies})
        assert 'data-mode="buffering"' in shown.text
    await page.reload()
    await expect(state).to_have_attribute("data-mode", "buffering")
    await expect(state).to_contain_text("Buffering events")
    proxy.thaw()
    await expect(state).to_have_attribute("data-mode", "storing")
    await expect(waiting).to_have_text("0")
    stored = "SELECT count(*) FROM events WHERE user_id = :user"
    assert await site.rows(stored, user=f"{user}-2") == [(1,)]
    # The service stops before the page does.
    await page.goto("about:blank")

"""A person in the browser: exported, erased, and replays that go on alone."""

import json
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.conftest import PHONE, Judge
from tests.support.browser.hostile import PAYLOADS
from tests.support.browser.keyboard import follow, sign_in, tab_to
from tests.support.browser.live_site import send, signed_up
from tests.support.browser.site import Site
from tests.support.pipeline.verdicts import added_user_with

COUNTS = """
SELECT (SELECT count(*) FROM events WHERE user_id = :user),
    (SELECT count(*) FROM rejected_events WHERE strpos(payload, :user) > 0),
    (SELECT count(*) FROM erasures)
"""


@pytest_asyncio.fixture(loop_scope="session")
async def eraser(page: Page, site: Site) -> Page:
    """The page of a browser that signed in with the scope `erase`, by keyboard."""
    await sign_in(page, site, scope="erase", to="/find")
    return page


async def fill(site: Site, user: str) -> None:
    email = f"{user}@example.com"
    await send(
        site,
        [
            signed_up(user, properties={"email": email}),
            signed_up(user, timestamp="yesterday"),
            added_user_with(
                user_id="other", properties={"user_role": "x", "user_email": email}
            ),
        ],
    )


async def test_person_is_found_and_erased_by_keyboard(
    eraser: Page, site: Site, axe: Judge, user: str
) -> None:
    await fill(site, user)
    await tab_to(eraser, eraser.locator("#q"))
    await eraser.keyboard.type(user)
    await follow(eraser)
    await expect(eraser.locator(".timeline > li")).to_have_count(2)
    await axe(eraser)
    await tab_to(eraser, eraser.get_by_role("button", name="Erase …"))
    await follow(eraser)
    await expect(eraser.locator("h1")).to_have_text(f"Erase {user}?")
    await axe(eraser)
    # The address of the sign-up leads to the mention.
    more = eraser.get_by_role("button", name="Count these addresses, too")
    await tab_to(eraser, more)
    await follow(eraser)
    await expect(more).to_have_count(0)
    row = eraser.locator("tr", has_text="Events").first
    assert await row.locator("td").all_inner_texts() == ["Events", "1", "1"]
    await eraser.set_viewport_size(PHONE)
    width = await eraser.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]
    await axe(eraser)
    [[*before]] = await site.rows(COUNTS, user=user)
    assert before[:2] == [1, 1]

    await tab_to(eraser, eraser.get_by_role("button", name="Erase 2 rows for good"))
    await follow(eraser)
    await expect(eraser.locator("h1")).to_have_text("Person erased")
    await axe(eraser)
    width = await eraser.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]
    receipt = await eraser.locator("#receipt").inner_text()
    [[*after]] = await site.rows(COUNTS, user=user)
    assert after == [0, 0, before[2] + 1]
    audit = "SELECT action FROM audit_log WHERE subject = :receipt"
    assert await site.rows(audit, receipt=receipt) == [("erase",)]


async def test_person_is_exported_to_a_file(
    eraser: Page, site: Site, user: str, tmp_path: Path
) -> None:
    await fill(site, user)
    await eraser.goto(f"/find?q={user}")
    await eraser.get_by_label("Email addresses").fill(f"{user}@example.com")
    async with eraser.expect_download() as started:
        await eraser.get_by_role("button", name="Export").click()
    download = await started.value
    assert download.suggested_filename == "person.ndjson"
    await download.save_as(tmp_path / "person.ndjson")
    lines = (tmp_path / "person.ndjson").read_text(encoding="utf-8").splitlines()
    found = sorted((row["table"], row["own"]) for row in map(json.loads, lines))
    assert found == [("events", False), ("events", True), ("rejected_events", True)]


async def test_replay_goes_on_without_its_reader(
    eraser: Page, site: Site, axe: Judge, user: str
) -> None:
    await send(site, [signed_up(f"{user}-{n}", event=user) for n in range(700)])
    await eraser.goto(f"/rejected?event={user}")
    replay = eraser.get_by_role("button", name="Replay all 700 that match")
    await tab_to(eraser, replay)
    # The reader leaves as soon as the replay has begun, before its page is whole.
    async with eraser.expect_navigation(url="**/rejected/replay", wait_until="commit"):
        await replay.press("Enter")
    await eraser.goto("/find")
    await eraser.goto("/rejected/replay")
    await expect(eraser.locator("#result")).to_contain_text("700 still rejected")
    await axe(eraser)
    await eraser.goto("/rejected")
    await expect(eraser.locator("#replay")).to_contain_text("700 still rejected")
    await axe(eraser)


async def test_hostile_person_is_shown_as_text(eraser: Page, site: Site) -> None:
    texts = [text for text in PAYLOADS if "\n" not in text and "\r" not in text]
    # Find strips white space at the end, such as U+0085.
    users = ["".join(texts[first::4])[:250] + "." for first in range(4)]
    email = '"><img/src=x/onerror=alert(1)>@x</title><script>alert(1)</script>'
    results = await send(
        site,
        [signed_up(user, properties={"email": email}) for user in users],
    )
    assert {result["status"] for result in results} == {"stored"}
    for user in users:
        await eraser.goto("/find")
        await eraser.locator("#q").fill(user)
        await follow(eraser)
        await eraser.get_by_role("button", name="Erase …").click()
        await eraser.get_by_role("button", name="Count these addresses, too").click()
        await expect(eraser.locator("dd").nth(1)).to_contain_text("onerror=alert(1)")
        await eraser.get_by_role("button", name="for good").click()
        await expect(eraser.locator("h1")).to_have_text("Person erased")


@pytest.mark.parametrize("event", ["signed_up", "trial_started"])
async def test_event_page_has_the_key_of_a_reader_on_this_machine(
    signed_in: Page, site: Site, axe: Judge, event: str
) -> None:
    await signed_in.goto("/docs")
    await signed_in.get_by_role("link", name="events", exact=True).first.click()
    await signed_in.get_by_role("link", name=event).click()
    await expect(signed_in.get_by_label("Write key")).to_have_value(site.write_key)
    panel = signed_in.get_by_role("tabpanel")
    await expect(panel).to_contain_text(f"Bearer {site.write_key}")
    await expect(signed_in.locator("#key-note")).to_contain_text("quick-start key")
    await tab_to(signed_in, signed_in.get_by_role("button", name="Send", exact=True))
    await signed_in.keyboard.press("Enter")
    verdict = signed_in.locator("#verdict")
    await expect(verdict.locator(".badge-stored, .badge-duplicate")).to_be_visible()
    await axe(signed_in)


async def test_event_page_of_a_stranger_has_no_key(page: Page, site: Site) -> None:
    await page.goto("/events/signed_up")
    await expect(page.get_by_role("tab").first).to_be_visible()
    await expect(page.get_by_label("Write key")).to_have_value("")
    assert site.write_key not in await page.content()

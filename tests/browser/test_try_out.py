"""Try it out: the verdict of the very service, where it belongs."""

import json

import pytest
from playwright.async_api import Page, Route, expect

from app.pages.event_docs import event_doc
from tests.browser.conftest import PHONE, Judge
from tests.support.browser.complaints import Complaints
from tests.support.browser.site import Site
from tests.support.browser.try_out import TryOut
from tests.support.pipeline.verdicts import CATALOG

EVENT = {
    "event": "signed_up",
    "user_id": "user_1",
    "timestamp": "2023-11-02T00:30:08.276Z",
    "properties": {"email": "ann@example.com", "name": "Ann"},
}


@pytest.mark.parametrize("event", CATALOG)
async def test_sample_is_sent_and_its_row_is_shown(
    signed_in: Page, site: Site, event: str, axe: Judge
) -> None:
    form = await TryOut.open(signed_in, site, event)
    assert json.loads(await form.body.input_value()) == event_doc(CATALOG[event]).sample

    answer = await form.press("Send")

    [result] = answer["results"]
    row = form.verdict.get_by_label("Row, as JSON")
    await expect(row).to_contain_text(f'"id": "{result["id"]}"')
    sql = await form.verdict.get_by_label("SQL that finds it").inner_text()
    [found] = await site.rows(sql.rstrip(";"))
    assert (str(found.id), found.source) == (result["id"], "shop")
    assert json.loads(await row.inner_text())["properties"] == found.properties
    await expect(form.verdict).to_contain_text(result["status"])
    await axe(signed_in)


async def test_warning_is_shown_at_its_line(page: Page, site: Site) -> None:
    form = await TryOut.open(page, site)
    await form.press("Send")
    lines = (await form.body.input_value()).split("\n")
    line = next(n for n, text in enumerate(lines, 1) if '"timestamp"' in text)

    assert (await form.marked("warning"), await form.marked("error")) == ([line], [])
    issue = form.verdict.locator(".issue")
    await expect(issue).to_contain_text("two_digit_year")
    await expect(issue.locator("pre")).to_contain_text(lines[line - 1].strip())


async def test_anonymous_visitor_sees_a_link_to_sign_in(page: Page, site: Site) -> None:
    form = await TryOut.open(page, site)
    await form.press("Send")
    await form.verdict.get_by_role("link", name="Sign in").click()
    await page.get_by_label("Read key").fill(site.read_key)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("signed_up")
    form = await TryOut.open(page, site)
    await form.press("Send")
    await expect(form.verdict.get_by_label("Row, as JSON")).to_be_visible()


async def test_error_is_shown_at_its_line_and_links_there(
    signed_in: Page, site: Site, axe: Judge
) -> None:
    form = await TryOut.open(signed_in, site)
    text = (await form.body.input_value()).replace("@example.com", "")
    await form.fill(text)
    answer = await form.press("Send")

    line = next(n for n, t in enumerate(text.split("\n"), 1) if '"email"' in t)
    assert await form.marked("error") == [line]
    await expect(form.verdict).to_contain_text("1 event rejected")
    issue = form.verdict.locator(".issue-error")
    await expect(issue).to_contain_text("invalid_email")
    await expect(issue.get_by_role("link")).to_have_attribute(
        "href", "#error-invalid_email"
    )
    await issue.get_by_role("button", name=f"line {line}").click()
    selected = await form.body.evaluate(
        "area => area.value.slice(area.selectionStart, area.selectionEnd)"
    )
    assert selected == text.split("\n")[line - 1]

    sql = await form.verdict.get_by_label("SQL that finds it").inner_text()
    [found] = await site.rows(sql.rstrip(";"))
    assert str(found.id) == answer["results"][0]["id"]
    row = form.verdict.get_by_label("Row, as JSON")
    await expect(row).to_contain_text("invalid_email")
    await axe(signed_in)


async def test_check_stores_nothing(page: Page, site: Site) -> None:
    form = await TryOut.open(page, site)
    await form.fill(EVENT | {"user_id": "only checked", "timestamp": "2023-11-02"})
    answer = await form.press("Check")

    assert answer["dry_run"] is True
    await expect(form.verdict).to_contain_text("Nothing was stored")
    await expect(form.verdict).to_contain_text("time_assumed_midnight")
    await expect(form.verdict.get_by_text("SELECT")).to_have_count(0)
    stored = "SELECT id FROM events WHERE user_id = 'only checked'"
    assert await site.rows(stored) == []


@pytest.mark.parametrize(
    ("body", "line", "code"),
    [
        ('{\n  "event": "signed_up",\n  oops\n}', 3, "invalid_json"),
        ("", 1, "empty_body"),
    ],
)
async def test_invalid_json_is_marked_at_its_first_wrong_character(
    page: Page, site: Site, body: str, line: int, code: str
) -> None:
    form = await TryOut.open(page, site)
    await form.fill(body)
    await form.press("Send")
    assert await form.marked("error") == [line]
    await expect(form.verdict).to_contain_text(code)
    await form.body.press("End")
    await form.body.press("x")
    assert await form.marked("error") == []


async def test_each_event_of_a_body_has_its_result(page: Page, site: Site) -> None:
    form = await TryOut.open(page, site)
    bad = EVENT | {"user_id": 1.5}
    await form.fill({"batch": [EVENT | {"message_id": "b1"}, bad, EVENT]})
    await form.press("Send")

    results = form.verdict.locator(".result")
    await expect(results).to_have_count(3)
    await expect(results.nth(1)).to_contain_text("Event 2")
    await expect(results.nth(1)).to_contain_text('"user_id": 1.5')
    lines = (await form.body.input_value()).split("\n")
    [marked] = await form.marked("error")
    assert "1.5" in lines[marked - 1]


async def test_large_body_is_shown_truncated(page: Page, site: Site) -> None:
    form = await TryOut.open(page, site)
    await form.fill([EVENT | {"message_id": f"many-{n}"} for n in range(60)])
    await form.press("Send")
    await expect(form.verdict).to_contain_text("60 events stored")
    await expect(form.verdict).to_contain_text("10 more results are not shown")


async def test_wrong_key_is_refused_and_no_key_is_asked_for(
    page: Page, site: Site
) -> None:
    form = await TryOut.open(page, site)
    await page.get_by_label("Write key").fill("rc_wrong")
    await form.press("Send")
    await expect(form.verdict).to_contain_text("unauthorized")

    await page.get_by_label("Write key").fill("")
    await page.get_by_role("button", name="Check").click()
    assert await page.evaluate("document.activeElement.id") == "key"


async def test_key_is_sent_only_in_the_header(page: Page, site: Site) -> None:
    form = await TryOut.open(page, site)
    async with page.expect_request("**/track*") as asked:
        await form.press("Send")
    sent = await asked.value
    assert site.write_key not in sent.url + (sent.post_data or "") + page.url
    assert await page.evaluate("localStorage.length + sessionStorage.length") == 0
    assert await page.evaluate("document.cookie") == ""
    assert await page.locator("#try [name]").count() == 0


async def test_form_works_by_keyboard(page: Page, site: Site) -> None:
    await page.goto("/events/signed_up")
    await page.get_by_label("Event, as JSON").focus()
    await page.keyboard.press("Tab")
    await page.keyboard.type(site.write_key)
    await page.keyboard.press("Tab")  # to Check
    await page.keyboard.press("Tab")  # to Send
    await page.keyboard.press("Space")
    verdict = page.locator("#verdict")
    await expect(verdict).to_contain_text("two_digit_year")
    await expect(page.get_by_role("status")).to_contain_text("warnings: 1")
    await page.keyboard.press("Tab")  # to Back to the sample
    await page.keyboard.press("Tab")  # to the explanation
    await page.keyboard.press("Tab")  # to the line
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "body"


async def test_result_fits_a_phone(page: Page, site: Site, axe: Judge) -> None:
    await page.set_viewport_size(PHONE)
    form = await TryOut.open(page, site)
    await form.fill(EVENT | {"user_id": "u" * 300, "properties": {"email": "e" * 300}})
    await form.press("Send")
    await expect(form.verdict).to_contain_text("too_long")
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]
    await axe(page)


async def test_missing_response_is_reported(
    page: Page, site: Site, complaints: Complaints
) -> None:
    form = await TryOut.open(page, site)
    await page.route("**/track*", lambda route: route.abort())
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(form.verdict).to_contain_text("the event may or may not be stored")
    assert complaints.heard == ["error: Failed to load resource: net::ERR_FAILED"]
    complaints.heard.clear()


async def test_buffered_event_is_not_called_committed(page: Page, site: Site) -> None:
    form = await TryOut.open(page, site)

    async def buffer(route: Route) -> None:
        answer = await (await route.fetch()).text()
        await route.fulfill(
            body=answer.replace('"stored"', '"buffered"', 2),
            content_type="application/json",
        )

    await page.route("**/track*", buffer)
    await form.fill(EVENT | {"user_id": "buffered"})
    await form.press("Send")
    await expect(form.verdict).to_contain_text("once Postgres responds again")
    await expect(form.verdict.locator(".badge-buffered")).to_have_count(1)


async def test_code_is_copied(page: Page) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.goto("/events/signed_up")
    await page.get_by_role("button", name="Copy curl").click()
    await expect(page.get_by_role("status")).to_have_text("Copied")
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("curl -sS http://127.0.0.1:")

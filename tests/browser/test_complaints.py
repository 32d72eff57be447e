"""The harness notices every kind of browser error."""

import pytest
from playwright.async_api import Browser

from tests.support.browser.complaints import Complaints
from tests.support.browser.site import Site


@pytest.mark.parametrize(
    ("done", "heard"),
    [
        ("alert('a')", "dialog: a"),
        ("console.error('b')", "error: b"),
        (
            "new Promise((r) => setTimeout(() => { r(); throw new Error('c'); }))",
            "thrown: ",
        ),
        ("document.body.innerHTML = '<b>d</b>'", "violation of require-trusted-types"),
        ("document.body.setAttribute('style', 'color: red')", "violation of style-src"),
        ("fetch('http://127.0.0.2:1/')", "violation of connect-src"),
        ("fetch('/static/0/nope.js')", "status of 404"),
    ],
)
async def test_browser_error_is_noticed(
    browser: Browser, site: Site, done: str, heard: str
) -> None:
    page = await browser.new_page(base_url=site.address)
    complaints = Complaints()
    await complaints.listen(page)
    await page.goto("/")
    await page.evaluate(f"async () => {{ try {{ await ({done}) }} catch {{}} }}")
    # Messages arrive in order: after this one, all others have arrived.
    async with page.expect_console_message(lambda message: message.text == "over"):
        await page.evaluate("console.log('over')")
    await page.close()
    assert any(heard in line for line in complaints.heard), complaints.heard

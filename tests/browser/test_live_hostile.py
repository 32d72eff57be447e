"""Live page: hostile payloads are shown as text."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import new_site
from tests.conftest import Admin
from tests.support.browser.keyboard import follow
from tests.support.browser.live_site import ROWS, send, signed_up, watch
from tests.support.browser.site import Site

# As a user id it is a placeholder, so its event is rejected.
TEMPLATE = "{{constructor.constructor('alert(1)')()}}"
SCRIPTS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</code></pre><script>alert(1)</script>",
    "javascript:alert(1)",
    TEMPLATE,
    "{% raw %}{{ 7*7 }}",
    "data: x\n\nevent: end\ndata: {}",
    "\u202egnirts desrever",
    "a\u200bb\ufeffc\u2066d",
    "<!--",
    "&lt;b&gt;&#x3c;",
    "\u2028\u2029</title>",
]
SHOWN = (
    "[...document.querySelectorAll('#arrivals bdi')].map(place => place.textContent)"
)


@pytest.fixture(scope="module")
def site(
    admin: Admin, template_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A service without other rows, which the live page would show as well."""
    with new_site(admin, template_url, tmp_path_factory.mktemp("live")) as site:
        yield site


@pytest.fixture
def naughty(corpora: Path) -> list[str]:
    found: list[str] = json.loads((corpora / "blns" / "blns.json").read_bytes())
    return found


def hostile(text: str) -> dict[str, Any]:
    """An event that holds a text wherever it may hold one."""
    return signed_up(
        text[:255],
        message_id=secrets.token_hex(8),
        properties={"email": "ann@example.com", "name": text, text: text},
        context={"group_id": text[:255], text: [text]},
    )


def refused(text: str) -> dict[str, Any]:
    """One that is rejected, for the text that it gives for its name and its time."""
    return hostile(text) | {"event": text or "?", "timestamp": text}


def bodies(texts: list[str]) -> Iterator[list[dict[str, Any]]]:
    """As many events as one view is sent at once."""
    for start in range(0, len(texts), 40):
        part = [text for text in texts[start : start + 40] if text.strip("\0")]
        yield [hostile(text) for text in part] + [refused(text) for text in part]


async def test_live_scripts_are_shown_as_text(page: Page, site: Site) -> None:
    await watch(page, site)
    results = await send(site, [hostile(text) for text in SCRIPTS])
    results += await send(site, [refused(text) for text in SCRIPTS])
    await expect(page.locator(ROWS)).to_have_count(len(results))
    shown = await page.evaluate(SHOWN)
    for text in SCRIPTS:
        # As user and account, of the stored and of the rejected one, and as its name.
        assert shown.count(text) == 5, text
    for number, text in enumerate(SCRIPTS):
        row = page.locator(f"#arrivals tr[data-id='{results[number]['id']}']")
        await row.click()
        details = page.locator("#details-body")
        place = (
            details.get_by_label("Payload", exact=True)
            if text == TEMPLATE
            else details.locator(".facts")
        )
        await expect(place).to_contain_text(text)
        await page.keyboard.press("Escape")


async def test_live_naughty_strings_are_shown_as_text(
    page: Page, site: Site, naughty: list[str]
) -> None:
    await watch(page, site)
    count = 0
    for body in bodies(naughty):
        count += len(await send(site, body))
    await expect(page.locator(ROWS)).to_have_count(200)
    assert count > 800
    assert (
        {*await page.evaluate(SHOWN)}
        <= {
            "shop",
            "signed_up",
            *SCRIPTS,  # of the test before, where one service saw both
            *(text[:255] for text in naughty),
            *(text[:255].replace("\0", "\ufffd") for text in naughty),
        }
    )
    await page.goto("/overview")
    await expect(page.locator("h1")).to_have_text("Overview")


@pytest.mark.parametrize("text", SCRIPTS[:3])
async def test_live_filter_is_reflected_as_text(
    page: Page, site: Site, text: str
) -> None:
    await watch(page, site)
    await page.fill("#source", text)
    await follow(page)
    await expect(page.locator("#state")).to_have_text("live")
    assert await page.input_value("#source") == text

"""Form of an event page: hostile texts are shown as text."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.support.browser.hostile import PAYLOADS, naughty
from tests.support.browser.site import Site
from tests.support.browser.try_out import TryOut

SHOWN = 50


def welcome(text: str) -> dict[str, Any]:
    """A valid event with the text in every free field."""
    return {
        "event": "signed_up",
        "user_id": f"u{text}"[:255],
        "timestamp": "2023-11-02",
        "message_id": f"m{text}"[:255],
        "properties": {"email": "a@b.c", "name": text, text: [text, {text: text}]},
        "context": {"group_id": f"g{text}"[:255], text: text},
    }


def refused(text: str) -> dict[str, Any]:
    """An invalid event with the text in every field."""
    return {
        "event": text,
        "user_id": {text: text},
        "timestamp": text,
        "message_id": [text],
        "properties": {"email": text, "name": {text: text}, text: float("nan")},
        text: text,
    }


async def check(form: TryOut, events: list[dict[str, Any]]) -> None:
    """Send events and compare every issue that the page shows."""
    body = json.dumps(events, indent=1, ensure_ascii=False)
    await form.fill(body)
    answer = await form.press("Send")
    await expect(form.verdict.locator(".result")).to_have_count(len(events))
    lines = body.split("\n")
    shown = await form.verdict.locator(".issue pre").evaluate_all(
        "all => all.map((pre) => [Number(pre.firstChild.textContent),"
        " pre.lastChild.textContent])"
    )
    assert shown
    assert [text for _, text in shown] == [lines[line - 1] for line, _ in shown]
    paths = await form.verdict.locator(".issue").evaluate_all(
        "all => all.map((one) => one.querySelector('.muted > code')?.textContent ?? '')"
    )
    assert paths == [
        issue["path"]
        for result in answer["results"]
        for issue in [*result.get("errors", []), *result["warnings"]]
    ]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("make", [welcome, refused])
async def test_form_shows_naughty_strings_as_text(
    page: Page, site: Site, corpora: Path, make: Any
) -> None:
    form = await TryOut.open(page, site)
    texts = naughty(corpora)
    for first in range(0, len(texts), SHOWN):
        await check(form, [make(text) for text in texts[first : first + SHOWN]])


async def test_form_shows_the_stored_row(signed_in: Page, site: Site) -> None:
    form = await TryOut.open(signed_in, site)
    for text in PAYLOADS:
        await form.fill(welcome(text) | {"message_id": None})
        await form.press("Send")
        shown = form.verdict.get_by_label("Row, as JSON")
        await shown.wait_for()
        row = json.loads(await shown.text_content() or "")
        assert row["properties"] == welcome(text)["properties"]
        assert row["user_id"] == welcome(text)["user_id"]


async def test_form_shows_every_digit_of_numbers(signed_in: Page, site: Site) -> None:
    form = await TryOut.open(signed_in, site)
    exact = 2**70 + 1
    await form.fill(welcome("n") | {"properties": {"email": "a@b.c", "n": exact}})
    await form.press("Send")
    shown = form.verdict.get_by_label("Row, as JSON")
    await expect(shown).to_contain_text(str(exact))

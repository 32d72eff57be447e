"""The form "Try it out" of a page, as a person uses it."""

import json
from dataclasses import dataclass
from typing import Any

from playwright.async_api import Locator, Page

from tests.support.browser.site import Site


@dataclass(frozen=True, slots=True)
class TryOut:
    """The form on the page of an event."""

    page: Page

    @classmethod
    async def open(cls, page: Page, site: Site, event: str = "signed_up") -> "TryOut":
        await page.goto(f"/events/{event}")
        await page.get_by_label("Write key").fill(site.write_key)
        return cls(page)

    @property
    def body(self) -> Locator:
        return self.page.get_by_label("Event, as JSON")

    @property
    def verdict(self) -> Locator:
        return self.page.locator("#verdict")

    async def fill(self, body: object) -> None:
        """Put text as it is, and anything else as JSON, into the editor."""
        text = body if isinstance(body, str) else json.dumps(body, indent=2)
        # As pasted: to type a thousand lines takes Chromium seconds.
        await self.body.evaluate(
            "(area, text) => { area.value = text;"
            " area.dispatchEvent(new Event('input')); }",
            text,
        )

    async def press(self, name: str) -> dict[str, Any]:
        """Send or Check; returns the service's answer."""
        async with self.page.expect_response("**/track*") as asked:
            await self.page.get_by_role("button", name=name, exact=True).click()
        response = await asked.value
        answer: dict[str, Any] = await response.json()
        # The verdict is there once the form is no longer busy.
        await self.page.locator("#verdict:not([aria-busy])").wait_for()
        return answer

    async def marked(self, kind: str) -> list[int]:
        """The lines that are marked in the editor."""
        marks = self.page.locator(f".gutter .{kind}")
        return [int(text) for text in await marks.all_inner_texts()]

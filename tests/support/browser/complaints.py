"""Errors that a browser reports about a page; any of them fails the test."""

import re
from urllib.parse import urlsplit

from playwright.async_api import ConsoleMessage, Dialog, Page

# Not subject to the page's policy, which it watches.
_WATCH = """
addEventListener("securitypolicyviolation", (event) => console.error(
  `violation of ${event.effectiveDirective} by ${event.blockedURI} ${event.sample}`));
"""
# The browser logs each answer that is an error, though a script asked and knows.
_REFUSED = re.compile("Failed to load resource: .* status of 4")
_ASKED_BY_SCRIPTS = ("/track", "/v1/")


class Complaints:
    """Gathers them.

    Attributes:
        heard: one line for each.
    """

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def listen(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.heard.append(f"thrown: {error}"))
        page.on("dialog", self._dialog)
        await page.add_init_script(_WATCH)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        if _REFUSED.match(message.text):
            about = message.location["url"]
            itself = message.page is not None and about == message.page.url
            if itself or urlsplit(about).path.startswith(_ASKED_BY_SCRIPTS):
                return
        self.heard.append(f"{message.type}: {message.text}")

    async def _dialog(self, dialog: Dialog) -> None:
        self.heard.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

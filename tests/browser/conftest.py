"""Pages in a real browser: Debian's Chromium, driven by Playwright.

One browser and one service for each test process, one profile for each test. A console
error, a policy violation or a dialog fails the test.
"""

import os
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, ViewportSize, async_playwright, expect

from tests.conftest import Admin
from tests.support.browser.complaints import Complaints
from tests.support.browser.site import Site
from tests.support.events.declared import write_trial
from tests.support.limits import PATIENCE_S
from tests.support.postgres.database import new_database
from tests.support.service.process import served

HERE = Path(__file__).parent
AXE = HERE / "node_modules" / "axe-core" / "axe.min.js"
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 360, "height": 740}
_SLOWEST_MS = PATIENCE_S * 1000
# A process for the GPU that is not there would take a sixth of the processor time.
_WITHOUT_GPU = ("--disable-gpu", "--in-process-gpu")
_NAMES = ("chromium", "chromium-browser", "google-chrome")

Scheme = Literal["light", "dark"]

# Light and dark differ in colours only, and a phone differs in layout only.
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
LAYOUT_RULES = [*COLOUR_RULES, "scrollable-region-focusable"]
ALL_RULES: list[tuple[Scheme, list[str] | None]] = [
    ("light", None),
    ("dark", COLOUR_RULES),
]
ONLY_LAYOUT: list[tuple[Scheme, list[str] | None]] = [("light", LAYOUT_RULES)]

expect.set_options(timeout=_SLOWEST_MS)


class Judge(Protocol):
    """Checks a page."""

    def __call__(self, page: Page, *, is_resized: bool = False) -> Awaitable[None]: ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run all tests in one event loop, in which the browser lives."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip("no chromium is here; .ci/run installs it where it may")
    arguments = ["--disable-dev-shm-usage", *_WITHOUT_GPU]
    if os.geteuid() == 0:  # as which Chromium's sandbox does not run
        arguments.append("--no-sandbox")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=found, args=arguments
        )
        yield browser
        await browser.close()


@contextmanager
def new_site(admin: Admin, template_url: str, directory: Path) -> Iterator[Site]:
    """A running service on its own database, with a declared event, and keys to it."""
    settings = {
        "data_dir": str(directory),
        "journal": "off",
        # The chart of minutes is that much behind.
        "commit_timeout_seconds": "4",
        "events_dir": str(write_trial(directory / "events").parent),
        "ready_events": "b2b_saas",
    }
    with new_database(admin, template_url) as database:
        write_key = database.key("shop")
        # Event pages fill it in for a reader who is signed in on this machine.
        (directory / "quickstart.key").write_text(write_key, encoding="ascii")
        with served(database.url, directory, **settings) as service:
            yield Site(
                service,
                database,
                write_key=write_key,
                read_key=database.key("desk", scope="read"),
            )


@pytest.fixture(scope="session")
def site(
    admin: Admin, template_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """The service of all tests, so they count only rows of their own users."""
    with new_site(admin, template_url, tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
def complaints() -> Complaints:
    """Errors of the browser; a test that provokes one removes it."""
    return Complaints()


@pytest_asyncio.fixture(loop_scope="session")
async def page(
    browser: Browser, site: Site, complaints: Complaints
) -> AsyncIterator[Page]:
    """A page of a fresh profile; any error of the browser fails the test."""
    context = await browser.new_context(
        base_url=site.address, viewport=DESKTOP, reduced_motion="reduce"
    )
    context.set_default_timeout(_SLOWEST_MS)
    page = await context.new_page()
    await complaints.listen(page)
    yield page
    await context.close()
    assert complaints.heard == []


@pytest_asyncio.fixture(loop_scope="session")
async def signed_in(page: Page, site: Site) -> Page:
    """The page of a browser that has signed in, as a person does."""
    await page.goto("/sign-in?next=/")
    await page.get_by_label("Read key").fill(site.read_key)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url("/")
    return page


@pytest.fixture
def user() -> str:
    """A user id of this test alone."""
    return f"user-{secrets.token_hex(4)}"


@pytest.fixture
def axe() -> Judge:
    """Check a page in light and dark: no serious and no critical finding.

    A page that is checked in another size too needs the rules on layout only.
    """
    if not AXE.is_file():
        pytest.skip("axe-core is not here; make test installs it with npm")
    source = AXE.read_text(encoding="utf-8")

    async def judge(page: Page, *, is_resized: bool = False) -> None:
        await page.evaluate(source)
        for scheme, rules in ONLY_LAYOUT if is_resized else ALL_RULES:
            await page.emulate_media(color_scheme=scheme)
            options: dict[str, Any] = {"resultTypes": ["violations"]}
            if rules is not None:
                options["runOnly"] = rules
            report = await page.evaluate(
                "options => axe.run(document, options)", options
            )
            found = [
                (scheme, finding["impact"], finding["id"], node["html"])
                for finding in report["violations"]
                if finding["impact"] in {"serious", "critical"}
                for node in finding["nodes"]
            ]
            assert found == []
            assert report["passes"]

    return judge

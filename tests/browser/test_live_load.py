"""A thousand events a second: the page stays responsive and counts what it hides."""

import asyncio
import secrets

from playwright.async_api import Page, expect

from tests.support.browser.live_site import ROWS, send, signed_up, watch
from tests.support.browser.site import Site

EVENTS = 5_000
BATCH = 100
PAUSE_S = 0.1
# A person calls an answer within 200 ms immediate; this machine has much else to do.
RESPONSIVE_MS = 200
# The longest that the page did not come round to anything.
PROBE = """() => {
  window.gaps = [];
  let last = performance.now();
  const channel = new MessageChannel();
  channel.port1.onmessage = () => {
    const now = performance.now();
    window.gaps.push(now - last);
    last = now;
    setTimeout(() => channel.port2.postMessage(0), 5);
  };
  channel.port2.postMessage(0);
}"""
GAPS = "window.gaps.sort((a, b) => b - a)"


async def test_a_thousand_a_second_leave_the_page_responsive(
    page: Page, site: Site
) -> None:
    await watch(page, site)
    await page.evaluate(PROBE)
    name = secrets.token_hex(4)
    batches = [
        [signed_up(f"{name}-{start + n}") for n in range(BATCH)]
        for start in range(0, EVENTS, BATCH)
    ]
    sending = []
    for batch in batches:
        sending.append(asyncio.ensure_future(send(site, batch)))
        await asyncio.sleep(PAUSE_S)
    await asyncio.gather(*sending)

    gaps = await page.evaluate(GAPS)
    assert gaps[len(gaps) // 100] < RESPONSIVE_MS, gaps[:20]
    await expect(page.locator("#tally")).to_contain_text(
        "more arrived and are not shown"
    )
    assert await page.locator(ROWS).count() == 200
    # It goes on to show the newest.
    await send(site, [signed_up(f"{name}-last")])
    await expect(page.locator(ROWS, has_text=f"{name}-last")).to_have_count(1)
    # What was left out is certain once nothing can be added to it any more.
    for _ in range(300):
        if await told(page) == EVENTS + 1:
            break
        await asyncio.sleep(PAUSE_S)
    assert await told(page) == EVENTS + 1


async def told(page: Page) -> int:
    """How many events the page accounts for."""
    words = (await page.inner_text("#tally")).split()
    return sum(int(word.replace(",", "")) for word in words if word[0].isdigit())

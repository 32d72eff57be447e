"""The overview over HTTP, and its cache of reports."""

import asyncio
import time
from datetime import UTC, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.pages.report_cache import ReportCache
from app.request_errors import UnavailableError
from app.store.engine import create_engine
from app.store.read.reports import DELAY, ReportRunner
from tests.support.app.client import Api
from tests.support.app.read_api import bearer, read_key
from tests.support.limits import PATIENCE_S
from tests.support.pipeline.verdicts import CATALOG, signed_up_with
from tests.support.postgres.proxy import Proxy

# One takes two; one after the other they would take twelve.
ANSWERED_WITHIN_S = 9
READERS = 6


@pytest.mark.parametrize("span", ["hour", "day", "week", "quarter"])
@pytest.mark.parametrize("scale", ["linear", "log"])
async def test_overview_shows_a_chart_for_each_event(
    api: Api, span: str, scale: str
) -> None:
    sent = signed_up_with(timestamp=datetime.now(UTC).isoformat())
    assert (await api.post(sent)).status_code == 200
    headers = bearer(await read_key(api.engine))
    query = {"span": span, "scale": scale}
    page = await api.client.get("/overview", params=query, headers=headers)
    assert page.status_code == 200
    for event in CATALOG:
        assert f'aria-label="{event}"' in page.text


@pytest.mark.parametrize("query", ["span=year", "scale=x", "span="])
async def test_overview_unknown_choice_is_refused(api: Api, query: str) -> None:
    headers = bearer(await read_key(api.engine))
    page = await api.client.get(f"/overview?{query}", headers=headers)
    assert (page.status_code, page.json()["code"]) == (400, "invalid_parameter")


async def test_overview_without_events_shows_instructions(api: Api) -> None:
    headers = bearer(await read_key(api.engine))
    page = await api.client.get("/overview", headers=headers)
    assert "No events in this span" in page.text


async def test_report_cache_runs_again_once_results_are_old(
    engine: AsyncEngine,
) -> None:
    now = 0.0
    runner = ReportRunner(engine, timeout_s=PATIENCE_S)
    cache = ReportCache(runner, {"delay": DELAY}, clock=lambda: now)
    first, second = await asyncio.gather(cache.results(), cache.results())
    assert first is second
    now = 9.9
    assert await cache.results() is first
    now = 10.0
    assert await cache.results() is not first


async def test_report_cache_outage_fails_all_readers_at_once(
    database_url: str,
) -> None:
    async with Proxy(database_url).listening() as proxy:
        shaky = create_engine(proxy.url, pool_size=1)
        now = 0.0
        runner = ReportRunner(shaky, timeout_s=PATIENCE_S)
        cache = ReportCache(runner, {"delay": DELAY}, clock=lambda: now)
        await cache.results()
        now = 1e6
        proxy.freeze()
        began = time.monotonic()
        asked = [cache.results() for _ in range(READERS)]
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert time.monotonic() - began < ANSWERED_WITHIN_S
        assert {*map(type, told)} == {UnavailableError}
        # The last results stay available.
        now += 1
        assert await cache.results_or_last() is cache.last is not None

        proxy.thaw()
        now += 1
        assert (await cache.results()).rows["delay"]
        await shaky.dispose()

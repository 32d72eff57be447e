"""The overview, over HTTP: whatever is asked, and while Postgres is away."""

import asyncio
import time

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import UnavailableError
from app.pages.overview_cache import ReportCache
from app.store.engine import create_engine
from app.store.read.reports import ReportRunner
from tests.support.app_client import Api
from tests.support.proxy import Proxy
from tests.support.read_api import bearer, read_key

ANSWERED_WITHIN_S = 3
READERS = 6


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 200),
        ("?reason=", 200),
        ("?reason=%ff", 200),
        ("?reason=invalid_timestamp", 200),
        ("?reason=%00", 400),
        ("?reason=a%00b", 400),
        (f"?reason={'x' * 256}", 400),
    ],
)
async def test_a_reason_is_looked_for_or_refused(
    api: Api, query: str, status: int
) -> None:
    headers = bearer(await read_key(api.engine))
    answer = await api.client.get(f"/overview/rejected{query}", headers=headers)
    assert answer.status_code == status, answer.text


async def test_figures_are_asked_for_again_once_they_are_old(
    engine: AsyncEngine,
) -> None:
    now = 0.0
    overview = ReportCache(ReportRunner(engine, timeout_s=20), clock=lambda: now)
    first, second = await asyncio.gather(overview.figures(), overview.figures())
    assert first is second
    now = 9.9
    assert await overview.figures() is first
    now = 10.0
    assert await overview.figures() is not first


async def test_while_postgres_is_away_nobody_waits_for_the_others(
    database_url: str,
) -> None:
    async with Proxy(database_url).listening() as proxy:
        shaky = create_engine(proxy.url, pool_size=1)
        now = 0.0
        overview = ReportCache(ReportRunner(shaky, timeout_s=20), clock=lambda: now)
        await overview.figures()
        now = 1e6
        proxy.freeze()
        began = time.monotonic()
        asked = [overview.figures() for _ in range(READERS)]
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert time.monotonic() - began < ANSWERED_WITHIN_S
        assert {*map(type, told)} == {UnavailableError}

        proxy.thaw()
        now += 1
        assert (await overview.figures()).days.rows
        await shaky.dispose()

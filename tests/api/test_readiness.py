"""`/readyz` of the app while Postgres does not respond, or refuses to commit."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.app.client import serving, settings
from tests.support.durations import least_s
from tests.support.eventually import eventually
from tests.support.pipeline.verdicts import signed_up_with
from tests.support.postgres.proxy import Proxy

EVENT = signed_up_with(message_id="m-1")
# Half of it is the limit of a look-up, which the answer must not wait for.
LONG = {"commit_timeout_seconds": 12, "answer_timeout_seconds": 15}
SHORT = {"commit_timeout_seconds": 0.5}


@pytest.mark.parametrize("journal", ["on", "off"])
async def test_readyz_answers_in_time_while_postgres_is_frozen(
    database_url: str, engine: AsyncEngine, key: str, tmp_path: Path, journal: str
) -> None:
    async with Proxy(database_url).listening() as proxy:
        configured = settings(proxy.url, data_dir=tmp_path, journal=journal, **LONG)
        async with serving(configured, key=key, engine=engine) as api:
            proxy.freeze()

            async def ask() -> httpx.Response:
                return await api.client.get("/readyz")

            assert await least_s(ask, enough_s=2.9) < 2.9  # at rest: 2.2

            async def is_noticed() -> bool:
                answer = (await ask()).json()
                return "no answer in time" in str(answer)

            await eventually(is_noticed)
            answer = await ask()
            expected = 200 if journal == "on" else 503
            assert answer.status_code == expected
            assert answer.json().get("events") == {200: "buffered"}.get(expected)
            proxy.thaw()


@asynccontextmanager
async def locked(engine: AsyncEngine) -> AsyncIterator[None]:
    """Postgres answers every question, and commits no event."""
    async with engine.begin() as connection:
        await connection.execute(text("LOCK TABLE events IN ACCESS EXCLUSIVE MODE"))
        yield


async def test_readyz_is_503_while_commits_fail_without_a_journal(
    database_url: str, engine: AsyncEngine, key: str
) -> None:
    configured = settings(database_url, **SHORT)
    async with serving(configured, key=key, engine=engine) as api:
        async with locked(engine):
            assert (await api.post(EVENT)).status_code == 503
            answer = await api.client.get("/readyz")
            assert answer.status_code == 503
            assert "lock" in answer.json()["detail"]
        assert (await api.post(EVENT)).json()["stored"] == 1
        assert (await api.client.get("/readyz")).json()["events"] == "stored"


async def test_readyz_is_503_while_the_journal_is_full_and_commits_fail(
    database_url: str, engine: AsyncEngine, key: str, tmp_path: Path
) -> None:
    configured = settings(
        database_url, data_dir=tmp_path, journal="on", journal_max_bytes=1, **SHORT
    )
    async with serving(configured, key=key, engine=engine) as api, locked(engine):
        assert (await api.post(EVENT)).status_code == 503
        assert (await api.client.get("/readyz")).status_code == 503

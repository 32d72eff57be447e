"""Readers are kept apart from the writer, and from a Postgres that is away."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.app.client import Api, serving, settings
from tests.support.app.read_api import OURS, bearer, browser, read_key
from tests.support.limits import DEFAULT, GENEROUS
from tests.support.pipeline.verdicts import signed_up_with
from tests.support.postgres.proxy import Proxy

# Three on a machine of its own: `make faults` and the test below hold that.
ANSWERED_WITHIN_S = 12
PATHS = ["/v1/events", "/v1/rejected?reason=a", f"/v1/events/{'0' * 32}"]


@pytest.fixture
async def short_reads(
    database_url: str, engine: AsyncEngine, key: str
) -> AsyncIterator[Api]:
    """An app whose readers give up after a few seconds."""
    limits = dict.fromkeys(GENEROUS, 4)
    async with serving(settings(database_url, **limits), key=key, engine=engine) as api:
        yield api


def test_key_and_query_of_a_reader_have_less_than_three_seconds_together() -> None:
    limits = settings("postgresql:///any", **DEFAULT)
    assert limits.lookup_timeout_seconds + limits.read_timeout_seconds < 3


async def test_readers_who_must_wait_hold_up_nobody_who_sends(
    short_reads: Api, engine: AsyncEngine
) -> None:
    api = short_reads
    reader = bearer(await read_key(engine))
    assert (await api.client.get("/v1/rejected", headers=reader)).status_code == 200
    async with engine.begin() as holder:
        # Reading rejected events waits for this; storing events does not.
        await holder.execute(text("LOCK TABLE rejected_events"))
        readers = [
            asyncio.create_task(api.client.get("/v1/rejected", headers=reader))
            for _ in range(80)
        ]
        refused = await next(asyncio.as_completed(readers))
        assert refused.json()["code"] == "overloaded"

        for number in range(5):
            sent = await api.post(signed_up_with(user_id=f"u{number}"))
            assert sent.status_code == 200
        waiting = sum(not task.done() for task in readers)
        answers = await asyncio.gather(*readers)

    assert waiting > 20
    codes = Counter(answer.json()["code"] for answer in answers)
    assert codes.keys() == {"overloaded", "unavailable"}
    for answer in answers:
        assert answer.headers["retry-after"]
    assert (await api.client.get("/v1/rejected", headers=reader)).status_code == 200


@pytest.mark.parametrize("known", [True, False])
async def test_while_postgres_is_away_reading_is_503_in_time(
    database_url: str, engine: AsyncEngine, *, known: bool
) -> None:
    key = await read_key(engine)
    async with (
        Proxy(database_url).listening() as proxy,
        serving(settings(proxy.url, **DEFAULT), key="", engine=engine) as api,
        browser(api) as tab,
    ):
        if known:
            for path in PATHS[:2]:
                answer = await api.client.get(path, headers=bearer(key))
                assert answer.status_code == 200
        proxy.freeze()
        for path in PATHS:
            began = time.monotonic()
            answer = await api.client.get(path, headers=bearer(key))
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert time.monotonic() - began < ANSWERED_WITHIN_S
        began = time.monotonic()
        refused = await tab.post("/sign-in", data={"key": key}, headers=OURS)
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert time.monotonic() - began < ANSWERED_WITHIN_S
        assert (await tab.get("/sign-in")).status_code == 200

        proxy.thaw()
        answer = await api.client.get(PATHS[0], headers=bearer(key))
        assert answer.status_code == 200
        answer = await tab.post("/sign-in", data={"key": key}, headers=OURS)
        assert answer.status_code == 303

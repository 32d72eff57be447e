"""Responses to senders and probes while Postgres is unavailable."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.ingest.response_models import ProblemModel, TrackResponseModel
from tests.support.app.client import Api, serving, settings
from tests.support.durations import least_s
from tests.support.pipeline.verdicts import signed_up_with
from tests.support.postgres.proxy import Proxy

EVENT = signed_up_with(message_id="m-1")
BAD = signed_up_with(timestamp="yesterday")


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(database_url).listening() as proxy:
        yield proxy


@pytest.fixture
async def away(
    proxy: Proxy, engine: AsyncEngine, key: str, tmp_path: Path
) -> AsyncIterator[Api]:
    """An app that cached its key before its Postgres was frozen."""
    configured = settings(
        proxy.url, data_dir=tmp_path, journal="on", commit_timeout_seconds=0.5
    )
    async with serving(configured, key=key, engine=engine) as api:
        proxy.freeze()
        yield api
        proxy.thaw()


async def test_good_event_is_buffered_under_its_id(away: Api, proxy: Proxy) -> None:
    answer = await away.post(EVENT)
    body = answer.json()

    assert answer.status_code == 200
    assert (body["success"], body["message"]) == (True, "1 event buffered")
    assert (body["stored"], body["buffered"]) == (0, 1)
    [result] = body["results"]
    assert (result["status"], result["event"]) == ("buffered", "signed_up")
    TrackResponseModel.model_validate(body)

    proxy.thaw()
    again = (await away.post(EVENT)).json()
    assert again["results"][0]["id"] == result["id"]


async def test_rejected_event_stays_rejected_and_is_reported_as_buffered(
    away: Api,
) -> None:
    mixed = (await away.post([EVENT, BAD])).json()
    assert mixed["message"].startswith("1 event buffered, 1 event rejected. First")
    assert [result["status"] for result in mixed["results"]] == ["buffered", "rejected"]
    assert mixed["results"][1]["buffered"] is True
    assert mixed["results"][1]["errors"][0]["code"] == "invalid_timestamp"
    TrackResponseModel.model_validate(mixed)

    alone = await away.post(BAD)
    assert alone.status_code == 422
    assert alone.json()["results"][0]["buffered"] is True
    ProblemModel.model_validate(alone.json())


@pytest.mark.parametrize("route", ["/v1/batch", "/api/track", "/api/s/s2s/track"])
async def test_sdk_routes_answer_200(away: Api, route: str) -> None:
    answer = await away.post({"batch": [EVENT]}, route)
    assert (answer.status_code, answer.json()["buffered"]) == (200, 1)


async def test_dry_run_needs_neither_postgres_nor_the_journal(away: Api) -> None:
    answer = (await away.post(EVENT, dry_run="true")).json()
    assert answer["results"][0]["status"] == "valid"
    assert "buffered" not in answer


async def test_unknown_key_is_asked_to_retry(away: Api) -> None:
    answer = await away.post(EVENT, headers={"authorization": "Bearer rc_unknown"})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "2"


async def test_readiness_reports_buffered_events(away: Api) -> None:
    await away.post(EVENT)

    async def ask() -> httpx.Response:
        return await away.client.get("/readyz")

    # The question that Postgres would leave unanswered takes a second.
    assert await least_s(ask, enough_s=0.9) < 0.9
    answer = await ask()
    assert answer.status_code == 200
    ready = answer.json()
    assert (ready["status"], ready["events"]) == ("ready", "buffered")
    assert ready["reason"]
    assert datetime.fromisoformat(ready["since"]).tzinfo is not None


async def test_old_schema_is_not_ready_with_a_journal(
    database_url: str, engine: AsyncEngine, key: str, tmp_path: Path
) -> None:
    configured = settings(database_url, data_dir=tmp_path, journal="on")
    async with serving(configured, key=key, engine=engine) as api:
        async with engine.begin() as connection:
            await connection.exec_driver_sql("DELETE FROM alembic_version")
        answer = await api.client.get("/readyz")
        assert answer.status_code == 503
        assert "rollcall migrate" in answer.json()["detail"]

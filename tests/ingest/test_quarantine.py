from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.app.client import Api, serving, settings
from tests.support.pipeline.verdicts import signed_up_with


@pytest.fixture
async def full(database_url: str, engine: AsyncEngine, key: str) -> AsyncIterator[Api]:
    """A service whose quarantine has room for one event."""
    configured = settings(database_url, quarantine_max_events=1)
    async with serving(configured, key=key, engine=engine) as api:
        yield api


async def send(api: Api, *events: object) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = (await api.post(events)).json()["results"]
    return results


async def test_response_reports_dropped_events(full: Api) -> None:
    kept, dropped = await send(full, {"n": 1}, {"n": 2})

    assert (kept["status"], "kept" in kept) == ("rejected", False)
    assert (dropped["status"], dropped["kept"]) == ("rejected", False)
    assert dropped["errors"]
    assert str(await full.scalar("SELECT id FROM rejected_events")) == kept["id"]


async def test_cap_in_bytes_is_a_setting(
    database_url: str, engine: AsyncEngine, key: str
) -> None:
    configured = settings(database_url, quarantine_max_bytes=13)
    async with serving(configured, key=key, engine=engine) as api:
        [kept, dropped] = await send(api, {"n": 1}, {"n": 2})

    assert ("kept" in kept, dropped["kept"]) == (False, False)


async def test_dropped_conflict_is_not_reported_as_kept(full: Api) -> None:
    event = signed_up_with(message_id="m1")
    stored, kept, dropped = await send(
        full, *(event | {"context": {"n": n}} for n in range(3))
    )

    assert stored["status"] == "stored"
    assert kept["status"] == dropped["status"] == "duplicate"
    assert ("kept" in kept, dropped["kept"]) == (False, False)
    said = [result["warnings"][-1] for result in (kept, dropped)]
    assert [warning["code"] for warning in said] == ["content_differs"] * 2
    assert "is kept among" in said[0]["message"]
    assert "is kept among" not in said[1]["message"]
    assert await full.scalar("SELECT reason FROM rejected_events") == "id_conflict"
    assert await full.scalar("SELECT events FROM rejected_drops") == 1

"""Routes for operators and readers: health, schemas, documentation."""

import asyncio
import re
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from fastapi import FastAPI
from jsonschema_rs import Draft202012Validator
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from app.api import health
from app.api.health import Readiness
from app.api.openapi import openapi_document
from app.errors import SchemaError
from app.ingest.routes import TRACK_ROUTES, TrackRoute
from app.main import create_app
from tests.conftest import Admin
from tests.support.app.client import Api, logging_restored, serving, settings, started
from tests.support.app.read_api import bearer, read_key
from tests.support.events.declared import declaration_of, policy_with
from tests.support.eventually import eventually
from tests.support.limits import OUTAGE, PATIENCE_S
from tests.support.pipeline.verdicts import (
    ADDED_USER,
    CATALOG,
    SIGNED_UP,
)

AWAY = "postgresql://nobody@127.0.0.1:1/none"


async def readyz(api: Api, *, until: int) -> httpx.Response:
    """Ask until the status is this: an answer is trusted for half a second."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            response = await api.client.get("/readyz")
            if response.status_code == until:
                return response
            await asyncio.sleep(0.02)


async def test_service_is_live_and_ready(api: Api) -> None:
    alive, ready = await api.client.get("/livez"), await api.client.get("/readyz")

    assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
    assert (ready.status_code, ready.json()) == (
        200,
        {
            "status": "ready",
            "events": "stored",
            "declarations": CATALOG.digest,
        },
    )


async def test_readyz_is_answered_from_memory_for_a_while(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_TRUST_S", PATIENCE_S)
    routed = await api.client.get("/readyz")
    monkeypatch.delattr(Readiness, "ask")
    recalled = await api.client.get("/readyz")

    assert recalled.content == routed.content
    assert recalled.status_code == 200
    first, second = (
        [pair for pair in each.headers.raw if pair[0] != b"x-request-id"]
        for each in (routed, recalled)
    )
    assert first == second


async def test_old_schema_is_not_ready_until_it_is_migrated(api: Api) -> None:
    async with api.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE alembic_version RENAME TO away"))
    response = await readyz(api, until=503)
    assert "rollcall migrate" in response.json()["detail"]
    assert response.headers["retry-after"].isdigit()

    async with api.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE away RENAME TO alembic_version"))
    await readyz(api, until=200)


async def test_read_only_database_is_not_ready_and_answers_503(
    engine: AsyncEngine, key: str, database_url: str, admin: Admin
) -> None:
    name = make_url(database_url).database
    loop = asyncio.get_running_loop()

    async def alter(statement: str) -> None:
        await loop.run_in_executor(None, admin.scalar, statement)

    configured = settings(database_url, **OUTAGE)
    async with serving(configured, key=key, engine=engine) as api:
        await alter(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await alter(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            f" WHERE datname = '{name}'"
        )
        response = await readyz(api, until=503)
        assert "read-only" in response.json()["detail"]
        refused = await api.post(SIGNED_UP)
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert refused.headers["retry-after"].isdigit()
        assert (await api.client.get("/livez")).status_code == 200


async def test_service_without_a_database_is_live_and_answers_503(
    engine: AsyncEngine,
) -> None:
    async with serving(settings(AWAY), key="rc_some", engine=engine) as api:
        assert (await api.client.get("/livez")).status_code == 200
        assert (await api.client.get("/readyz")).status_code == 503
        refused = await api.post(SIGNED_UP)
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")


async def test_service_does_not_start_on_a_database_without_schema(
    empty_database_url: str, admin: Admin
) -> None:
    with logging_restored():
        app = create_app(settings(empty_database_url))
        with pytest.raises(SchemaError, match="rollcall migrate"):
            async with started(app):
                pass
    name = make_url(empty_database_url).database
    connections = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'"

    def has_closed_all() -> bool:
        return admin.scalar(connections) == 0

    await eventually(lambda: asyncio.to_thread(has_closed_all), within_s=PATIENCE_S)


async def test_each_schema_accepts_its_sample(api: Api) -> None:
    schemas = (await api.client.get("/schemas")).json()

    assert schemas.keys() == CATALOG.keys()
    for name, sample in (("signed_up", SIGNED_UP), ("account_added_user", ADDED_USER)):
        assert (await api.client.get(f"/schemas/{name}")).json() == schemas[name]
        validator = Draft202012Validator(schemas[name])
        assert validator.is_valid(sample)
        assert not validator.is_valid(sample | {"user_id": None})


async def test_documentation_needs_no_internet(api: Api) -> None:
    page = await api.client.get("/docs")
    assert page.status_code == 200
    headers = bearer(await read_key(api.engine))

    found = re.findall(r"(?:src|href)\s*=\s*[\"']([^\"']+)", page.text)
    assert "/openapi.json" in found
    assert len(found) > 3
    for url in found:
        if url.startswith("#"):
            assert f'id="{url[1:]}"' in page.text
            continue
        assert urljoin("http://rollcall/docs", url).startswith("http://rollcall/"), url
        asset = await api.client.get(url, headers=headers)
        assert asset.status_code == 200, url
        assert asset.content
    assert not re.search(r"https?://", page.text)


async def test_reference_lists_every_path_with_ingest_first(
    api: Api, document: dict[str, Any]
) -> None:
    page = (await api.client.get("/docs")).text
    assert page.index("#track") < page.index("#events_v1_events_get")
    for path in document["paths"]:
        assert path in page
    headings = re.findall('<h3 id="[^"]*"><span[^>]*>POST', page)
    assert len(headings) == 3


@pytest.fixture
async def document(api: Api) -> dict[str, Any]:
    content: dict[str, Any] = (await api.client.get("/openapi.json")).json()
    return content


@pytest.mark.parametrize("route", [*TRACK_ROUTES[:3], *TRACK_ROUTES[-9:]])
def test_operation_of_a_route_equals_the_one_described_alone(route: TrackRoute) -> None:
    catalog = policy_with(declaration_of()).catalog  # with more events than examples
    described = openapi_document(FastAPI(), TRACK_ROUTES, catalog)["paths"]
    alone = openapi_document(FastAPI(), (route,), catalog)["paths"]
    assert [*described] == [route.path for route in TRACK_ROUTES]
    assert described[route.path] == alone[route.path]


def test_openapi_has_each_route_and_nothing_that_cannot_happen(
    document: dict[str, Any],
) -> None:
    paths = document["paths"]

    assert {route.path for route in TRACK_ROUTES} < paths.keys()
    for route in TRACK_ROUTES:
        responses = paths[route.path]["post"]["responses"]
        assert ("422" in responses) is not route.lenient
    operations = [o for path in paths.values() for o in path.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len({*ids})
    assert "HTTPValidationError" not in document["components"]["schemas"]


async def test_examples_of_openapi_fit_their_schema_and_are_accepted(
    api: Api, document: dict[str, Any]
) -> None:
    for path in ("/track", "/api/track", "/v1/batch"):
        [body] = document["paths"][path]["post"]["requestBody"]["content"].values()
        validator = Draft202012Validator(
            {"components": document["components"], **body["schema"]}
        )
        for example in body["examples"].values():
            assert validator.is_valid(example["value"])
            taken = await api.post(example["value"], path)
            assert (taken.status_code, taken.json()["rejected"]) == (200, 0)
        assert not validator.is_valid({"event": "signed_up"})


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_probe_may_use_head(api: Api, path: str) -> None:
    got, asked = await api.client.get(path), await api.client.head(path)

    assert (got.status_code, asked.status_code) == (200, 200)
    assert asked.headers["content-length"] == got.headers["content-length"]

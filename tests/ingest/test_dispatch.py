"""Defects: a 500 in the form of all problems, under the id that the log has."""

import asyncio
import io
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request

from app.ingest.dispatch import Dispatcher
from app.ingest.response_models import ProblemModel
from app.pages.error_handlers import install_error_handlers
from app.pages.render import Pages
from app.pages.static_files import StaticFiles
from tests.support.ingest.tracking import KEY, TRACK, Bench
from tests.support.metrics.samples import figures_of

HEADERS = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def log(bench: Bench) -> io.BytesIO:
    return bench.log


@pytest.fixture
async def client(bench: Bench) -> AsyncIterator[httpx.AsyncClient]:
    rest = FastAPI()
    install_error_handlers(rest, Pages(StaticFiles()))

    @rest.get("/boom")
    async def boom() -> None:
        raise LookupError("a secret")

    @rest.get("/cookies")
    async def cookies(request: Request) -> list[str]:
        return request.headers.getlist("cookie")

    app = Dispatcher([TRACK], services=bench.services, rest=rest)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://rollcall", headers=HEADERS
    ) as client:
        yield client


async def assert_told_as_a_problem(
    response: httpx.Response,
    bench: Bench,
    log: io.BytesIO,
    caplog: pytest.LogCaptureFixture,
) -> None:
    counted = figures_of(bench.metrics)
    assert counted("rollcall_refusals_total", code="internal_error") == 1
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    content = response.json()
    ProblemModel.model_validate(content, strict=True)
    assert content["code"] == "internal_error"
    assert "secret" not in response.text
    [record] = [r for r in caplog.records if r.message == "request failed"]
    assert record.exc_info is not None
    request_id = response.headers["x-request-id"]
    assert record.__dict__["rollcall_fields"]["request_id"] == request_id
    await asyncio.sleep(0)  # the log's turn
    [line] = map(json.loads, log.getvalue().splitlines())
    assert (line["request_id"], line["status"]) == (request_id, 500)


async def test_defect_of_an_ingest_route_is_a_problem(
    client: httpx.AsyncClient,
    bench: Bench,
    log: io.BytesIO,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench.keys.error = LookupError("a secret")
    response = await client.post("/track", json={})

    await assert_told_as_a_problem(response, bench, log, caplog)


async def test_defect_of_a_fastapi_route_is_a_problem(
    client: httpx.AsyncClient,
    bench: Bench,
    log: io.BytesIO,
    caplog: pytest.LogCaptureFixture,
) -> None:
    response = await client.get("/boom")

    await assert_told_as_a_problem(response, bench, log, caplog)


async def test_app_sees_no_cookie_but_the_session(client: httpx.AsyncClient) -> None:
    cookies = {"cookie": "a=b; rollcall_session=token; c=d"}
    response = await client.get("/cookies", headers=cookies)

    assert response.json() == ["rollcall_session=token"]


@pytest.mark.parametrize(
    ("key", "body", "source"),
    [
        (KEY, b"[", "billing"),
        (KEY, b"[]", "billing"),
        ("rc_unknown", b"[]", None),
        (None, b"[]", None),
    ],
)
async def test_log_line_of_a_refusal_names_a_known_source(
    client: httpx.AsyncClient,
    log: io.BytesIO,
    key: str | None,
    body: bytes,
    source: str | None,
) -> None:
    del client.headers["authorization"]
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    response = await client.post("/track", content=body, headers=headers)
    await asyncio.sleep(0)

    assert 400 <= response.status_code < 500
    assert json.loads(log.getvalue())["source"] == source


async def test_unknown_path_names_the_routes_and_is_logged_with_method_and_path(
    client: httpx.AsyncClient, log: io.BytesIO
) -> None:
    path = "/v1/trak/rc_secret0/" + "\u00e9" * 300
    response = await client.post(path, content=b"{}")
    await asyncio.sleep(0)

    assert response.status_code == 404
    for route in ("/track", "/api/track", "/v1/batch", "/api/s/s2s/track"):
        assert f" {route}" in response.json()["detail"]
    line = json.loads(log.getvalue().splitlines()[-1])
    assert (line["status"], line["method"]) == (404, "POST")
    assert line["path"].startswith("/v1/trak/rc_.../?")
    assert len(line["path"]) == 200


async def test_path_is_logged_without_its_query(
    client: httpx.AsyncClient, log: io.BytesIO
) -> None:
    await client.get("/cookies?code=secret")
    await asyncio.sleep(0)

    line = json.loads(log.getvalue().splitlines()[-1])
    assert (line["method"], line["path"]) == ("GET", "/cookies")
    assert b"secret" not in log.getvalue()

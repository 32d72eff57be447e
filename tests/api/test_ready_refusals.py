"""Refusals ahead of FastAPI: equal to its own, without its routes."""

from typing import Any

import httpx
import pytest

from app.api.ready_refusals import ReadyRefusals
from tests.support.app.client import Api

PATHS = ("/", "/docs", "/metrics", "/v1/events", "/v1/events/{id_}")


async def reached(scope: Any, receive: Any, send: Any) -> None:
    del scope, receive
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def status_of(method: str, path: str, **headers: str) -> int:
    transport = httpx.ASGITransport(ReadyRefusals(reached, PATHS))
    async with httpx.AsyncClient(transport=transport, base_url="http://r") as client:
        return (await client.request(method, path, headers=headers)).status_code


def without_ids(response: httpx.Response) -> tuple[int, Any, dict[str, str]]:
    body = {**response.json(), "response_id": ""}
    headers = dict(response.headers)
    assert headers.pop("x-request-id")
    return response.status_code, body, headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nope"),
        ("POST", "/wp-login.php"),
        ("GET", "/track/x"),
        ("GET", "/.env"),
        ("GET", "/documents/x"),
    ],
)
async def test_path_that_no_route_begins_with_is_refused(
    method: str, path: str
) -> None:
    assert await status_of(method, path) == 404


@pytest.mark.parametrize(
    "path", ["/v1/events", "/v1/rejected", "/v1/events/x", "/metrics"]
)
async def test_read_without_key_is_refused(path: str) -> None:
    assert await status_of("GET", path) == 401


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/", {}),
        ("GET", "/docs", {}),
        ("GET", "/docs/x", {}),
        ("GET", "/nope", {"accept": "text/html"}),
        ("GET", "/v1/events", {"authorization": "Bearer rc_read_x"}),
        ("GET", "/v1/events", {"cookie": "rollcall_session=x"}),
        ("GET", "/v1/events", {"accept": "text/html"}),
        ("POST", "/v1/events", {}),
        ("HEAD", "/v1/events", {}),
        ("GET", "/v1/events/", {}),
        ("GET", "/v1/x/y", {}),
    ],
)
async def test_other_request_is_passed_on(
    method: str, path: str, headers: dict[str, str]
) -> None:
    assert await status_of(method, path, **headers) == 200


async def test_refusals_equal_those_of_the_routes(api: Api) -> None:
    del api.client.headers["authorization"]  # the write key of most tests
    ready = await api.client.get("/nope")
    assert without_ids(ready) == without_ids(await api.client.get("/docs/nope"))
    session = {"cookie": "rollcall_session=unknown"}
    for path in ("/v1/events", "/metrics"):
        ready = await api.client.get(path)
        routed = await api.client.get(path, headers=session)
        assert without_ids(ready) == without_ids(routed)

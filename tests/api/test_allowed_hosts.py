"""Host names: pages under the listed ones, events and probes under every one."""

from typing import Any

import httpx
import pytest

from app.api.allowed_hosts import AllowedHosts
from tests.support.app.client import Api


async def app(scope: Any, receive: Any, send: Any) -> None:
    del scope, receive
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def status_of(hosts: list[str], host: str, path: str = "/") -> int:
    transport = httpx.ASGITransport(AllowedHosts(app, hosts))
    async with httpx.AsyncClient(transport=transport, base_url="http://r") as client:
        return (await client.get(path, headers={"host": host})).status_code


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("rollcall.example.com", 200),
        ("ROLLCALL.example.com:8000", 200),
        ("a.internal", 200),
        ("a.b.internal:80", 200),
        ("[::1]:8000", 200),
        ("internal", 400),
        ("evil.example", 400),
        ("rollcall.example.com.evil.example", 400),
        ("xinternal", 400),
        ("[::2]", 400),
        ("", 400),
    ],
)
async def test_listed_host_names_are_served(host: str, status: int) -> None:
    hosts = ["Rollcall.example.com", "*.internal", "[::1]"]
    assert await status_of(hosts, host) == status


async def test_every_host_name_is_served_without_a_list() -> None:
    assert await status_of([], "evil.example") == 200


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_probes_and_metrics_are_served_under_every_name(path: str) -> None:
    assert await status_of(["a"], "evil.example", path) == 200


async def test_refusal_names_the_setting() -> None:
    transport = httpx.ASGITransport(AllowedHosts(app, ["a"]))
    async with httpx.AsyncClient(transport=transport, base_url="http://r") as client:
        refused = await client.get("/")

    assert refused.json()["code"] == "invalid_host"
    assert "ROLLCALL_ALLOWED_HOSTS" in refused.json()["detail"]
    assert refused.headers["x-content-type-options"] == "nosniff"


async def test_events_are_accepted_under_every_name(api: Api) -> None:
    response = await api.post(b"[]", headers={"host": "evil.example"})
    assert response.json()["code"] == "empty_body"

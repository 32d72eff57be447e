import json
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx
import pytest
from jsonschema_rs import Draft202012Validator

from tests.support.app.client import Api
from tests.support.app.read_api import bearer, read_key
from tests.support.pipeline.verdicts import signed_up_with, with_properties

# No double has its value.
HUGE = 2**70 + 1
ROUTES = ["/v1/events", "/v1/rejected"]


class Reader:
    """Someone who reads with a key."""

    def __init__(self, api: Api, key: str) -> None:
        self.api = api
        self.headers = bearer(key)

    async def get(
        self, path: str, params: dict[str, Any] | None = None, **headers: str
    ) -> httpx.Response:
        return await self.api.client.get(
            path, params=params, headers=self.headers | headers
        )


@pytest.fixture
async def reader(api: Api) -> Reader:
    return Reader(api, await read_key(api.engine))


async def test_event_is_read_as_it_was_sent(reader: Reader) -> None:
    event = signed_up_with(user_id="<u>", message_id="m1", context={"n": HUGE})
    event = with_properties(event, big=HUGE, odd="\u2028\U0001f600</script>")
    answer = (await reader.api.post(event)).json()["results"][0]

    response = await reader.get("/v1/events")

    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    page = response.json()
    [row] = page["events"]
    assert page["next_cursor"] is None
    assert list(row) == [
        *("id", "source", "event", "user_id", "group_id", "timestamp"),
        *("timestamp_raw", "received_at", "stored_at", "message_id"),
        *("properties", "context", "warnings", "extra"),
    ]
    assert row["id"] == answer["id"]
    assert row["properties"] == event["properties"]
    assert row["context"] == event["context"]
    assert (row["source"], row["group_id"]) == ("billing-backend", None)
    assert row["timestamp"] == row["timestamp_raw"] == "2023-11-02T00:30:08.276Z"
    assert row["stored_at"].endswith("Z")

    one = await reader.get(f"/v1/events/{row['id']}")
    assert one.json() == row
    assert (await reader.get(f"/v1/events/{UUID(int=0)}")).status_code == 404
    assert (await reader.get("/v1/events/nonsense")).status_code == 404


async def test_rejected_event_is_read_with_its_reasons(reader: Reader) -> None:
    event = signed_up_with(timestamp="yesterday", user_id="\u0000")
    refused = (await reader.api.post(event)).json()["results"][0]

    [row] = (await reader.get("/v1/rejected")).json()["events"]

    assert row["id"] == refused["id"]
    assert row["errors"] == refused["errors"]
    assert json.loads(row["payload"]) == event
    assert row["truncated"] is False
    assert (await reader.get(f"/v1/rejected/{row['id']}")).json() == row
    assert (await reader.get(f"/v1/rejected/{UUID(int=0)}")).status_code == 404
    reason = {"reason": row["reason"], "since": row["received_at"]}
    assert (await reader.get("/v1/rejected", reason)).json()["events"] == [row]
    assert (await reader.get("/v1/rejected", {"reason": "x"})).json()["events"] == []


async def test_pages_follow_each_other_in_both_forms(reader: Reader) -> None:
    await reader.api.post([signed_up_with(user_id=f"u{n}") for n in range(7)])
    await reader.api.post(signed_up_with(user_id="other", context={"group_id": "g"}))
    wanted: dict[str, Any] = {"stored_since": "2020-01-01", "limit": 3}

    page = (await reader.get("/v1/events", wanted)).json()
    seen = page["events"]
    while page["next_cursor"] is not None:
        more = wanted | {"cursor": page["next_cursor"]}
        page = (await reader.get("/v1/events", more)).json()
        seen += page["events"]
    assert len(seen) == len({row["id"] for row in seen}) == 8

    lines: list[Any] = []
    response = await reader.get("/v1/events", wanted, accept="application/x-ndjson")
    while True:
        assert response.headers["content-type"] == "application/x-ndjson"
        assert response.content.endswith(b"\n")
        lines += map(json.loads, response.text.splitlines())
        cursor = response.headers.get("x-next-cursor")
        if cursor is None:
            break
        more = wanted | {"cursor": cursor, "format": "ndjson", "limit": 1}
        response = await reader.get("/v1/events", more)
    assert lines == seen


async def test_cursor_belongs_to_its_query(reader: Reader) -> None:
    await reader.api.post([signed_up_with(user_id=f"u{n}") for n in range(3)])
    page = (await reader.get("/v1/events", {"limit": 1})).json()
    cursor = page["next_cursor"]

    same = await reader.get("/v1/events", {"limit": 2, "cursor": cursor})
    assert len(same.json()["events"]) == 2
    for path, other in [
        ("/v1/events", {"user_id": "u1"}),
        ("/v1/events", {"stored_since": "2020-01-01"}),
        ("/v1/rejected", {}),
    ]:
        refused = await reader.get(path, other | {"cursor": cursor})
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_cursor")


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    "query",
    [
        "unknown=1",
        "Event=signed_up",
        "event=a&event=a",
        "cursor=a&cursor=a",
        "limit=0",
        "limit=1001",
        "limit=1e2",
        "limit=",
        "limit=99999999999999999999",
        "id=1",
        "id=%27%20OR%201=1",
        "since=yesterday",
        "since=",
        "since=20-11-23T22:28:55Z",
        "until=2023-02-30",
        "until=9999-12-31T23:59:59-01:00",
        "since=2023-11-02T00:30:00+02:00",
        "event=%00",
        "source=a%00b",
        "source=" + "x" * 256,
        "cursor=" + "x" * 101,
        "format=xml",
    ],
)
async def test_invalid_query_is_refused_with_a_reason(
    reader: Reader, path: str, query: str
) -> None:
    refused = await reader.get(f"{path}?{query}")

    assert refused.status_code == 400, refused.text
    problem = refused.json()
    assert problem["code"] in {"invalid_parameter", "invalid_cursor"}
    assert "Value error" not in problem["detail"]
    assert len(problem["detail"]) < 200


@pytest.mark.parametrize("path", ROUTES)
async def test_request_without_a_read_key_gets_no_data(api: Api, path: str) -> None:
    write = bearer(api.key)
    for headers in (write, {"authorization": ""}, bearer("rc_read_x"), {"key": "x"}):
        for query in ("", "?limit=x"):
            refused = await api.client.get(path + query, headers=headers)
            assert refused.status_code == 401
            assert refused.json()["code"] == "unauthorized"
            assert "Bearer" in refused.headers["www-authenticate"]
            assert "Basic" not in refused.headers["www-authenticate"]
    assert (await api.client.post(path, headers=write)).status_code == 405


async def test_read_key_cannot_write(reader: Reader) -> None:
    for path in ("/track", "/api/track", "/v1/batch"):
        refused = await reader.api.post(signed_up_with(), path, headers=reader.headers)
        assert refused.status_code == 401
        assert "read key" in refused.json()["detail"]
    assert await reader.api.scalar("SELECT count(*) FROM events") == 0


@pytest.mark.parametrize("name", ["event", "source", "user_id", "group_id"])
async def test_hostile_filter_finds_nothing_and_changes_nothing(
    reader: Reader, name: str
) -> None:
    await reader.api.post(signed_up_with())
    for hostile in ("' OR ''='", "%", "_", "\\", "$1", "x'; DROP TABLE events; --"):
        response = await reader.get(f"/v1/events?{name}={quote(hostile)}")
        assert response.json() == {"events": [], "next_cursor": None}
    assert len((await reader.get("/v1/events")).json()["events"]) == 1


async def test_responses_have_the_shape_of_openapi(reader: Reader) -> None:
    await reader.api.post(signed_up_with(timestamp="2023-11-02"))
    await reader.api.post(signed_up_with(timestamp="yesterday"))
    document = (await reader.api.client.get("/openapi.json")).json()

    for path in ROUTES:
        operation = document["paths"][path]["get"]
        content = operation["responses"]["200"]["content"]
        schema = {"components": document["components"]}
        schema |= content["application/json"]["schema"]
        answer = (await reader.get(path)).json()
        assert answer["events"]
        Draft202012Validator(schema).validate(answer)
        assert "application/x-ndjson" in content
        assert {"session": []} in operation["security"]
        assert "422" not in operation["responses"]
        names = {parameter["name"] for parameter in operation["parameters"]}
        assert {"cursor", "limit", "format", "event", "source", "since"} <= names

"""Requests that the app refuses: the status, form and order of the refusals."""

import json
from typing import Any

import httpx
import pytest

from app.ingest.response_models import ProblemModel
from app.request_errors import REQUEST_ERRORS, RequestError
from tests.support.app.client import Api
from tests.support.pipeline.verdicts import SIGNED_UP, without

TRACK_ROUTES = ["/track", "/api/track", "/v1/track"]
BAD = without(SIGNED_UP, "user_id")


def problem(response: httpx.Response) -> dict[str, Any]:
    """The problem that a response is, in the one form that all have."""
    content: dict[str, Any] = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    ProblemModel.model_validate(content, strict=True)
    assert content["status"] == response.status_code
    assert content["response_id"] == response.headers["x-request-id"]
    assert content["success"] is False
    for member in ("title", "detail", "code", "message"):
        assert content[member]
    return content


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"])
async def test_route_accepts_only_post_and_never_redirects(
    api: Api, method: str
) -> None:
    for path in [path + slash for path in TRACK_ROUTES for slash in ("", "/")]:
        response = await api.client.request(method, path)
        assert (response.status_code, response.headers["allow"]) == (405, "POST")
        assert "location" not in response.headers
        assert method == "HEAD" or problem(response)["code"] == "method_not_allowed"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_unknown_path_is_not_found(api: Api, method: str) -> None:
    for path in ("/nope", "/track/x", "/Track", "/livez/", "/docs/"):
        response = await api.client.request(method, path, json=SIGNED_UP)
        assert (response.status_code, problem(response)["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "path", ["//track", "/track//", "///api//track", "/%74rack", "//v1/batch/"]
)
async def test_route_is_found_with_repeated_slashes_and_encoded_letters(
    api: Api, path: str
) -> None:
    url = httpx.URL("http://rollcall").copy_with(raw_path=path.encode())
    response = await api.client.post(url, json=SIGNED_UP)
    assert (response.status_code, response.json()["stored"]) == (200, 1)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_read_route_refuses_writes(api: Api, method: str) -> None:
    for path in ("/livez", "/readyz", "/schemas", "/openapi.json"):
        response = await api.client.request(method, path)
        assert problem(response)["code"] == "method_not_allowed"
        assert response.status_code == 405
        assert "GET" in response.headers["allow"]


async def test_unknown_schema_is_not_found(api: Api) -> None:
    assert problem(await api.client.get("/schemas/nope"))["status"] == 404


# Each request has its own fault and all those that follow it in the order.
WRONG_KEY = {"authorization": "Bearer rc_wrong"}
NO_JSON = {"content-type": "text/csv"}
TOO_LONG = b" " * (10 * 1024 * 1024 + 1)


ORDER: list[tuple[str, str, dict[str, str], bytes, int]] = [
    ("PUT", "/nope", WRONG_KEY | NO_JSON, TOO_LONG, 404),
    ("PUT", "/track", WRONG_KEY | NO_JSON, TOO_LONG, 405),
    ("POST", "/track", WRONG_KEY | NO_JSON, TOO_LONG, 401),
    ("POST", "/track", NO_JSON, TOO_LONG, 415),
    ("POST", "/track", {}, TOO_LONG, 413),
    ("POST", "/track", {}, b"[", 400),
    ("POST", "/track", {"authorization": ""}, b"[", 401),
]


async def test_refusals_have_their_order(api: Api) -> None:
    for method, path, headers, body, expected in ORDER:
        response = await api.client.request(method, path, headers=headers, content=body)
        assert problem(response)["status"] == expected


async def test_body_is_refused_before_the_key_in_it(
    api: Api,
) -> None:
    del api.client.headers["authorization"]

    assert problem(await api.post(b"["))["status"] == 400
    refused = await api.post(SIGNED_UP)
    assert problem(refused)["status"] == 401
    assert refused.headers["www-authenticate"].startswith("Bearer ")
    assert "Basic " in refused.headers["www-authenticate"]
    assert (await api.post(SIGNED_UP | {"writeKey": api.key})).status_code == 200
    assert (await api.post({"batch": [BAD], "writeKey": api.key})).status_code == 422


async def test_each_header_of_a_key_authenticates(api: Api) -> None:
    del api.client.headers["authorization"]

    for name in ("x-api-key", "X-Write-Key", "KEY"):
        assert (await api.post(SIGNED_UP, headers={name: api.key})).status_code == 200
        refused = await api.post(SIGNED_UP, headers={name: api.key + "x"})
        assert problem(refused)["code"] == "unauthorized"


async def test_basic_opens_with_the_key_as_the_user(api: Api) -> None:
    del api.client.headers["authorization"]
    response = await api.client.post("/track", json=SIGNED_UP, auth=(api.key, ""))

    assert response.status_code == 200


async def test_wrong_key_is_not_replaced_by_a_right_one(api: Api) -> None:
    response = await api.post(
        SIGNED_UP | {"writeKey": api.key}, headers=WRONG_KEY | {"x-api-key": api.key}
    )

    assert problem(response)["status"] == 401


async def test_undecodable_body_is_refused_at_each_route(api: Api) -> None:
    gzip = {"content-encoding": "gzip"}
    for path in TRACK_ROUTES:
        for body in (b"{", b"\xff"):
            assert problem(await api.post(body, path))["code"] == "invalid_json"
        assert problem(await api.post(b"", path))["code"] == "empty_body"
        refused = problem(await api.post(b"{}", path, headers=gzip))
        assert refused["code"] == "invalid_encoding"


@pytest.mark.parametrize(
    ("body", "strict"),
    [
        (b"[]", (400, "empty_body")),
        (b'{"batch": []}', (400, "empty_body")),
        (b"7", (400, "invalid_body")),
        (json.dumps([BAD, BAD]).encode(), (422, "all_rejected")),
        (json.dumps({"batch": [BAD]}).encode(), (422, "all_rejected")),
        (b'{"batch": 7}', (422, "all_rejected")),
        (b"{}", (422, "all_rejected")),
        (b"[7]", (422, "all_rejected")),
    ],
)
async def test_decodable_body_without_events_is_200_only_at_sdk_routes(
    api: Api, body: bytes, strict: tuple[int, str]
) -> None:
    for path in ("/track", "/api/track"):
        refused = problem(await api.post(body, path))
        assert (refused["status"], refused["code"]) == strict
    taken = await api.post(body, "/v1/track")
    assert taken.status_code == 200
    assert taken.json()["stored"] == 0


async def test_over_5000_events_are_refused_at_each_route(api: Api) -> None:
    body = b"[%b]" % b",".join([b"1"] * 5_001)

    for path in TRACK_ROUTES:
        assert problem(await api.post(body, path))["code"] == "too_many_events"
    assert await api.scalar("SELECT count(*) FROM rejected_events") == 0


async def test_dry_run_other_than_true_and_false_is_refused(api: Api) -> None:
    for value in ("1", "", "True"):
        refused = problem(await api.post(SIGNED_UP, dry_run=value))
        assert (refused["status"], refused["code"]) == (400, "invalid_parameter")
    assert await api.scalar("SELECT count(*) FROM events") == 0


async def test_request_id_of_the_client_is_ignored(api: Api) -> None:
    theirs = {"x-request-id": "theirs", "request-id": "theirs"}
    for path in ("/track", "/livez", "/nope"):
        response = await api.post(SIGNED_UP, path, headers=theirs)
        [request_id] = response.headers.get_list("x-request-id")
        assert len(request_id) == 32
        assert "theirs" not in response.text
    ids = {(await api.client.get("/livez")).headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5


def test_each_error_has_the_fields_of_a_problem() -> None:
    for kind in REQUEST_ERRORS:
        assert 400 <= kind.status < 600
        assert kind.code == kind.code.lower()
        assert kind.title
        if kind.retry_after is not None:
            assert kind.retryable
    codes = [kind.code for kind in REQUEST_ERRORS]
    assert len(codes) == len({*codes})


def test_list_of_request_errors_is_complete() -> None:
    ours = {kind for kind in RequestError.__subclasses__() if "tests" not in str(kind)}
    assert {*REQUEST_ERRORS} == ours

"""Nothing that a sender sent comes back, and nothing of it is logged."""

import json
from typing import Any

import pytest

from tests.support.http.wire import connected
from tests.support.pipeline.verdicts import ADDED_USER, SIGNED_UP
from tests.support.postgres.database import Database
from tests.support.service.process import Service, until
from tests.support.service.tenant import Tenant

CANARY = "cAnArY"
REQUEST = b'"message":"request"'
REFUSAL_FIELDS = {"at", "level", "logger", "message", "refused"}
EMAIL = f"{CANARY}@example.com"
FULL: dict[str, Any] = {
    "event": "signed_up",
    "user_id": CANARY,
    "group_id": CANARY + "g",
    "message_id": CANARY,
    "timestamp": "2023-11-02T00:30:08.276Z",
    "properties": {"email": EMAIL, "name": CANARY, CANARY: {CANARY: [CANARY]}},
    "context": {CANARY: CANARY, "ip": CANARY},
    CANARY: CANARY,
}
# Each has one more thing wrong with it, or to be mended.
CHANGES: list[dict[str, Any]] = [
    {},
    {"event": CANARY},
    {"event": [CANARY]},
    {"event_name": CANARY},
    {"user_id": {CANARY: CANARY}},
    {"user_id": CANARY * 100},
    {"user_id": CANARY + "\0"},
    {"userId": CANARY + "other"},
    {"group_id": [CANARY]},
    {"groupId": CANARY + "other"},
    {"message_id": [CANARY]},
    {"timestamp": CANARY},
    {"timestamp": [CANARY]},
    {"timestamp": f"2023-11-02T00:30:08{CANARY}"},
    {"properties": CANARY},
    {"properties": {"email": CANARY}},
    {"properties": {"email": [CANARY]}},
    {"properties": {"email": EMAIL, "name": {CANARY: CANARY}}},
    {"properties": {"email": EMAIL, "name": CANARY + "\0"}},
    {"context": CANARY},
    {"context": {"x": CANARY * 40_000}},
]
BODIES: list[bytes] = [
    *(json.dumps(FULL | change).encode() for change in CHANGES),
    json.dumps([FULL, CANARY, [CANARY], FULL | {"event": CANARY}]).encode(),
    json.dumps({"batch": [FULL, {CANARY: CANARY}], CANARY: CANARY}).encode(),
    json.dumps(ADDED_USER | {"properties": {"user_role": [CANARY]}}).encode(),
    json.dumps(CANARY).encode(),
    f'{{"{CANARY}": {CANARY}}}'.encode(),
    f'["{CANARY}'.encode(),
    CANARY.encode(),
    CANARY.encode() + b"\xff",
]


def assert_clean(text: str) -> None:
    assert CANARY.lower() not in text.lower()


class Watch:
    """The service's log from now on."""

    def __init__(self, tenant: Tenant) -> None:
        self._log = tenant.service.log
        self._start = self._log.stat().st_size

    def lines(self, count: int, *, of: bytes = REQUEST) -> list[dict[str, Any]]:
        """All lines, once there are so many of a kind."""
        until(
            lambda: self._read().count(of) >= count,
            within_s=60,
            what=f"{count} lines of {of!r} in the log",
        )
        return self._parsed()

    def refusals(self, count: int) -> list[dict[str, Any]]:
        """All lines, once those of refused requests count so many."""
        until(
            lambda: sum(line.get("refused", 0) for line in self._parsed()) == count,
            within_s=60,
            what=f"{count} refused requests in the log",
        )
        return self._parsed()

    def _parsed(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._read().splitlines()]

    def _read(self) -> bytes:
        """All whole lines; the last one may not be whole yet."""
        log = self._log.read_bytes()[self._start :]
        return log[: log.rfind(b"\n") + 1]


@pytest.fixture(scope="module")
def shared_database(own_database: Database) -> Database:
    """A database of this module alone."""
    return own_database


@pytest.fixture(scope="module")
def shared_service(service: Service) -> Service:
    """A service of this module alone: its log has no line of other tests."""
    return service


@pytest.fixture
def watch(tenant: Tenant) -> Watch:
    return Watch(tenant)


@pytest.mark.parametrize("path", ["/track", "/api/track", "/v1/track"])
def test_body_is_neither_returned_nor_logged(
    tenant: Tenant, watch: Watch, path: str
) -> None:
    for body in BODIES * 2:
        headers = {"idempotency-key": CANARY}
        response = tenant.client.post(path, content=body, headers=headers)
        assert response.status_code in {200, 400, 422}
        # The path of a warning has the name of an unknown field, and nothing else has.
        assert_clean(response.text.replace(f'"path":"{CANARY}"', ""))
        assert_clean(str(response.headers))
    assert_clean(json.dumps(watch.lines(2 * len(BODIES))))
    for table in ("events", "rejected_events"):
        assert tenant.rows(f"SELECT 1 FROM {table} WHERE source = :source")


def test_replaced_value_is_named_only_by_its_path(tenant: Tenant, watch: Watch) -> None:
    properties = {"email": EMAIL, CANARY: f"{CANARY}\0"}
    answer = tenant.post(json.dumps(FULL | {"properties": properties}).encode()).json()

    [result] = answer["results"]
    [warning] = [w for w in result["warnings"] if w["code"] == "character_replaced"]
    assert warning["path"] == f"properties.{CANARY}"
    unknown = f'"path": "{CANARY}"'
    assert_clean(json.dumps(answer).replace(warning["path"], "").replace(unknown, ""))
    assert_clean(json.dumps(watch.lines(1)))


HEADERS = (
    {"authorization": f"Bearer {CANARY}"},
    {"authorization": CANARY},
    {"content-type": CANARY},
    {"content-encoding": CANARY},
    dict.fromkeys(
        ("user-agent", "x-request-id", "cookie", "x-forwarded-for", "referer"), CANARY
    ),
)


def test_rest_of_a_request_is_not_returned(tenant: Tenant, watch: Watch) -> None:
    client = tenant.client
    responses = [
        client.get(f"/{CANARY}"),
        client.get(f"/schemas/{CANARY}"),
        client.get("/livez", params={CANARY: CANARY}),
        client.post("/track", params={"dry_run": CANARY}, json=SIGNED_UP),
        *(client.post("/track", headers=h, json=SIGNED_UP) for h in HEADERS),
    ]

    for response in responses:
        assert_clean(response.text)
        assert_clean(str(response.headers))
    lines = watch.lines(len(responses))
    # The log has the path of a 404, because that is how a wrong address is found.
    paths = [line.pop("path") for line in lines if line.get("status") == 404]
    assert paths == [f"/{CANARY}", f"/schemas/{CANARY}"]
    assert_clean(json.dumps(lines))


def test_invalid_http_is_neither_returned_nor_logged(
    tenant: Tenant, watch: Watch
) -> None:
    for sent in (
        f"{CANARY} / HTTP/1.1\r\n\r\n",
        f"GET /{CANARY} {CANARY}\r\n\r\n",
        f"GET / HTTP/1.1\r\n{CANARY}\r\n\r\n",
        f"POST /track HTTP/1.1\r\nContent-Length: {CANARY}\r\n\r\n",
    ):
        with connected(tenant.service) as wire:
            wire.send(sent.encode())
            status, headers, said = wire.answer_text()
        assert status == 400
        assert_clean(str(headers) + said)
    # Those of one second are one line, with their number and nothing else of them.
    lines = watch.refusals(4)
    assert_clean(json.dumps(lines))
    for line in lines:
        assert line["message"] == "bad requests refused"
        assert line["level"] == "info"
        assert line.keys() <= REFUSAL_FIELDS


def test_request_is_logged_in_one_line_with_its_result(
    tenant: Tenant, watch: Watch
) -> None:
    taken = tenant.post(json.dumps([SIGNED_UP, {}]).encode())
    refused = tenant.post(b"[")
    livez = tenant.client.get("/livez")

    lines = {line.pop("request_id"): line for line in watch.lines(3)}
    assert len(lines) == 3
    for line in lines.values():
        assert (line["message"], line["level"]) == ("request", "info")
        assert line["milliseconds"] > 0
        assert line["at"].endswith("Z")
    of_taken = lines[taken.headers["x-request-id"]]
    assert (of_taken["route"], of_taken["status"]) == ("/track", 200)
    assert of_taken["source"] == tenant.source
    assert (of_taken["stored"], of_taken["rejected"]) == (1, 1)
    assert lines[refused.headers["x-request-id"]]["status"] == 400
    assert lines[livez.headers["x-request-id"]]["status"] == 200


def test_key_is_in_no_answer_and_in_no_log(tenant: Tenant, watch: Watch) -> None:
    sent = SIGNED_UP | {"writeKey": tenant.key}
    for path in ("/track", "/v1/track"):
        for body in ([sent], sent, {"batch": [{}], "writeKey": tenant.key}):
            response = tenant.post(json.dumps(body).encode(), path)
            assert tenant.key not in response.text
    assert tenant.key not in json.dumps(watch.lines(6))

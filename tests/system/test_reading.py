"""Reading over HTTP, from every worker, whatever was sent."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from tests.support.cli.invocation import invoke
from tests.support.http.wire import Wire
from tests.support.postgres.database import Database, id_of
from tests.support.service.process import until
from tests.support.service.tenant import Tenant
from tests.support.service.workers import spread
from tests.system.conftest import Serve

# Five on a machine of its own; tests/access holds that by a clock of its own.
REVOKED_WITHIN_S = 30
OURS = {"sec-fetch-site": "same-origin"}


def ask(wires: list[Wire], header: str) -> set[int]:
    """Read over each connection; all statuses that came back."""
    lines = ["GET /v1/events?limit=1 HTTP/1.1", "Host: rollcall", header, "", ""]
    for wire in wires:
        wire.send("\r\n".join(lines).encode())
    return {wire.answer()[0] for wire in wires}


@contextmanager
def signed_in(address: str, key: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=60) as browser:
        answer = browser.post("/sign-in", data={"key": key}, headers=OURS)
        assert answer.status_code == 303
        yield browser


def cookie_of(browser: httpx.Client) -> str:
    [(name, value)] = browser.cookies.items()
    return f"Cookie: {name}={value}"


def test_session_holds_on_every_worker_and_ends_on_every_worker_in_time(
    serve: Serve, database: Database, env: dict[str, str]
) -> None:
    service = serve("--workers", "2")
    key = database.key("ann", scope="read")
    with (
        spread(service, at_least=8) as wires,
        signed_in(service.address, key) as first,
        signed_in(service.address, key) as second,
    ):
        cookies = [cookie_of(browser) for browser in (first, second)]
        assert ask(wires, f"Authorization: Bearer {key}") == {200}
        assert [ask(wires, cookie) for cookie in cookies] == [{200}, {200}]

        began = time.monotonic()
        assert first.post("/sign-out", headers=OURS).status_code == 303
        until(
            lambda: ask(wires, cookies[0]) == {401},
            within_s=REVOKED_WITHIN_S,
            what="who signed out is out",
        )
        assert ask(wires, cookies[1]) == {200}
        assert invoke("keys", "revoke", id_of(key), env=env).returncode == 0
        until(
            lambda: (
                ask(wires, cookies[1])
                == ask(wires, f"Authorization: Bearer {key}")
                == {401}
            ),
            within_s=REVOKED_WITHIN_S,
            what="a revoked key reads no more, and neither does its session",
        )
        assert time.monotonic() - began < 2 * REVOKED_WITHIN_S + 5


@pytest.fixture
def strings(corpora: Path) -> list[str]:
    strings: list[str] = json.loads((corpora / "blns" / "blns.json").read_bytes())
    assert len(strings) == 515
    return strings


@pytest.fixture
def reader(tenant: Tenant) -> Iterator[httpx.Client]:
    key = tenant.database.key("ann", scope="read")
    headers = {"authorization": f"Bearer {key}"}
    address = tenant.service.address
    with httpx.Client(base_url=address, headers=headers, timeout=60) as client:
        yield client


def test_stored_event_is_read_back_exactly(
    tenant: Tenant, reader: httpx.Client, strings: list[str]
) -> None:
    sent = {
        f"m{number}": {
            "event": "signed_up",
            "user_id": f"u{number}",
            "message_id": f"m{number}",
            "timestamp": "2023-11-02T00:30:08.276Z",
            "properties": {"email": "a@b.c", "p": text, text: 1},
            "context": {"c": [text]},
        }
        for number, text in enumerate(strings)
        if text not in {"email", "p"}
    }
    body = json.dumps([*sent.values()]).encode()
    assert tenant.post(body).json()["stored"] == len(sent)

    query = {"source": tenant.source, "limit": "1000"}
    rows = reader.get("/v1/events", params=query).json()["events"]
    lines = reader.get("/v1/events", params=query | {"format": "ndjson"})

    # A line separator of Unicode ends no line.
    assert [json.loads(line) for line in lines.content.split(b"\n") if line] == rows
    assert len(rows) == len(sent)
    for row in rows:
        event = sent[row["message_id"]]
        for name in ("user_id", "properties", "context"):
            assert row[name] == event[name]


def test_any_query_is_answered_or_refused_with_a_reason(
    tenant: Tenant, reader: httpx.Client, strings: list[str]
) -> None:
    events = [
        {
            "event": "signed_up",
            "user_id": text,
            "timestamp": "2023-11-02T00:30:08.276Z",
            "properties": {"email": "a@b.c"},
        }
        for text in strings
    ]
    results = tenant.post(json.dumps(events).encode()).json()["results"]
    stored = {
        text
        for text, result in zip(strings, results, strict=True)
        if result["status"] != "rejected"
    }
    assert len(stored) > 400

    for text in strings:
        query = urlencode({"user_id": text, "source": tenant.source}, errors="replace")
        answer = reader.get(f"/v1/events?{query}")
        assert answer.status_code in {200, 400}, text
        if text in stored:
            assert {row["user_id"] for row in answer.json()["events"]} == {text}
    for name in ("event", "source", "cursor", "since", "id", "limit", "format"):
        for text in strings[::9]:
            query = urlencode({name: text}, errors="replace")
            for path in ("/v1/events", "/v1/rejected"):
                assert reader.get(f"{path}?{query}").status_code in {200, 400}, text
    for text in strings[::9]:
        query = urlencode({"next": text, "code": text, text: text}, errors="replace")
        page = reader.get(f"/sign-in?{query}")
        assert page.status_code == 200
        assert "<script>" not in page.text

"""`/metrics`: its access rules and its samples."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)

from app.access.key_cache import KeyCache
from app.api.metrics import metrics_routes
from app.errors import SchemaError
from app.ingest.counting import metric_labels
from app.metrics.catalog import METRICS
from app.metrics.counters import Metrics
from app.pages.error_handlers import install_error_handlers
from app.pages.render import Pages
from app.pages.static_files import StaticFiles
from app.request_errors import UnavailableError
from app.store.keys.keys import create_key, hash_key, key_id, revoke_key
from app.store.keys.scopes import Reader
from tests.support.app.client import Api
from tests.support.app.read_api import bearer
from tests.support.eventually import eventually
from tests.support.metrics.samples import Figures
from tests.support.pipeline.verdicts import SIGNED_UP, signed_up_with

PROMETHEUS_ACCEPTS = (
    "application/openmetrics-text;version=1.0.0;q=0.6;escaping=allow-utf-8,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.fixture
async def read_key(api: Api) -> str:
    async with api.engine.begin() as connection:
        return await create_key(connection, source="prometheus", scope="read")


async def scrape(api: Api, key: str, *, accept: str = "*/*") -> httpx.Response:
    headers = {"authorization": f"Bearer {key}", "accept": accept}
    return await api.client.get("/metrics", headers=headers)


async def figures(api: Api, key: str) -> Figures:
    response = await scrape(api, key)
    assert response.status_code == 200
    return Figures(response.text)


async def test_metrics_require_a_read_key(api: Api, read_key: str) -> None:
    anonymous = await api.client.get("/metrics", headers={"authorization": ""})
    writer = await scrape(api, api.key)
    unknown = await scrape(api, "rc_read_nobodys")
    for refused in (anonymous, writer, unknown):
        assert refused.status_code == 401
        assert refused.headers["content-type"] == "application/problem+json"
        assert "Bearer" in refused.headers["www-authenticate"]
        assert refused.json()["code"] == "unauthorized"
    assert (await scrape(api, read_key)).status_code == 200
    assert (await api.client.post("/metrics")).status_code == 405


async def test_metrics_refuse_a_revoked_key(api: Api, read_key: str) -> None:
    assert (await scrape(api, read_key)).status_code == 200
    async with api.engine.begin() as connection:
        await revoke_key(connection, id_=key_id(hash_key(read_key.encode())))

    async def is_refused() -> bool:
        return (await scrape(api, read_key)).status_code == 401

    await eventually(is_refused, within_s=60)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/html", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;version=much", "text/plain; version=0.0.4"),
        ("application/openmetrics-text", "application/openmetrics-text; version=1.0"),
        (PROMETHEUS_ACCEPTS, "application/openmetrics-text; version=1.0.0"),
    ],
)
async def test_metrics_have_the_requested_format(
    api: Api, read_key: str, accept: str, content_type: str
) -> None:
    response = await scrape(api, read_key, accept=accept)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith(content_type)
    if "openmetrics" in content_type:
        families = parse_openmetrics(response.text)  # type: ignore[no-untyped-call]  # Prometheus's
        names = {family.name for family in families}
    else:
        names = {family.name for family in Figures(response.text).families}
    assert names == {metric.name.removesuffix("_total") for metric in METRICS}


async def test_each_family_has_help_and_type(api: Api, read_key: str) -> None:
    for family in (await figures(api, read_key)).families:
        assert family.documentation.endswith(".")
        assert family.type in {"counter", "gauge", "histogram"}


async def test_sent_events_are_counted(api: Api, read_key: str) -> None:
    await api.post([SIGNED_UP, signed_up_with(user_id="v"), signed_up_with(user_id="")])
    await api.post(SIGNED_UP)
    await api.post(signed_up_with(timestamp="2023-11-02T00:30:08", message_id="m"))
    await api.post(signed_up_with(user_id="w", message_id="m"), dry_run="true")
    await api.post({"event": "nobodys"})
    await api.post({"batch": [{"type": "identify"}, SIGNED_UP]}, "/v1/batch")
    await api.post(b"{", "/v1/batch/")
    await api.client.get("/track")
    await api.client.get("/nowhere")

    told = await figures(api, read_key)

    def requests(route: str, status: int) -> float:
        return told("rollcall_requests_total", route=route, status=str(status))

    assert requests("/track", 200) == 4
    assert requests("/track", 422) == 1
    assert requests("/track", 405) == 1
    assert requests("/v1/batch", 200) == 1
    assert requests("/v1/batch", 400) == 1
    assert requests("other", 404) == 1
    assert told("rollcall_request_duration_seconds_count") == 8
    results = {
        result: told("rollcall_events_total", result=result)
        for result in told.labels("rollcall_events_total", "result")
    }
    assert {name: count for name, count in results.items() if count} == {
        "stored": 3,
        "duplicate": 2,
        "rejected": 2,
        "valid": 1,
        "ignored": 1,
    }
    assert told("rollcall_rejected_events_total", reason="too_short") == 1
    assert told("rollcall_rejected_events_total", reason="unknown_event") == 1
    assert told.total("rollcall_rejected_events_total") == results["rejected"]
    assert told("rollcall_warnings_total", warning="offset_assumed_utc") == 1
    assert told("rollcall_refusals_total", code="invalid_json") == 1
    assert told("rollcall_refusals_total", code="method_not_allowed") == 1
    # All that was committed: stored, duplicates and rejected.
    assert told("rollcall_commit_events_sum") == 7
    assert told("rollcall_commit_duration_seconds_sum") > 0
    assert told("rollcall_database_up") == 1
    assert told("rollcall_workers") == 1
    assert told("rollcall_pool_connections_limit", pool="writing") == 3
    assert told("rollcall_pool_connections_limit", pool="reading") > 0
    assert told("rollcall_bytes_in_flight") == 0
    assert told("rollcall_bytes_in_flight_limit") > 1_000_000
    [info] = [family for family in told.families if family.name.endswith("_info")]
    assert info.samples[0].labels.keys() == {"python", "version"}


async def test_payloads_never_create_series(api: Api, read_key: str) -> None:
    before = (await figures(api, read_key)).samples.keys()
    for number in range(10):
        await api.client.get(f"/nowhere/{number}?q={number}")
        await api.client.request(f"METHOD{number}", f"/{number}")
        await api.client.request(f"METHOD{number}", "/track")
        await api.post(signed_up_with(event=f"event_{number}"), "/track")
        await api.post(SIGNED_UP, headers={"authorization": f"Bearer {number}"})

    async def has_fill() -> bool:  # recorded once a second
        told = await figures(api, read_key)
        return told.total("rollcall_quarantine_fill_ratio") > 0

    await eventually(has_fill)
    after = (await figures(api, read_key)).samples.keys()

    new = {
        dict(labels)["status"]
        for name, labels in after - before
        if name == "rollcall_requests_total"
    }
    assert new <= {"200", "401", "404", "405", "422"}
    # The label `source` comes from keys, which operators create.
    assert {name for name, _ in after - before} == {
        "rollcall_requests_total",
        "rollcall_source_events_total",
        "rollcall_quarantine_fill_ratio",
    }
    assert len(after - before) <= 8


class Database:
    """Knows one read key, while it is there."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.keys = {b"rc_read_known"}
        self.scope = "metrics"

    async def reader_of_key(self, digest: bytes) -> Reader | None:
        if isinstance(self.error, UnavailableError):
            raise self.error
        is_known = digest in {hash_key(key) for key in self.keys}
        return Reader("p", "1", self.scope) if is_known else None

    async def check(self) -> None:
        if self.error is not None:
            raise self.error


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    install_error_handlers(app, Pages(StaticFiles()))
    app.include_router(
        metrics_routes(
            KeyCache(database.reader_of_key, trust_s=0),
            metrics=Metrics(metric_labels()),
            check_database=database.check,
        )
    )

    async def named(scope: Any, receive: Any, send: Any) -> None:
        scope.setdefault("state", {})["request_id"] = "request-1"
        await app(scope, receive, send)

    transport = httpx.ASGITransport(named)
    async with httpx.AsyncClient(transport=transport, base_url="http://r") as client:
        yield client


async def ask(client: httpx.AsyncClient, key: str = "rc_read_known") -> httpx.Response:
    return await client.get("/metrics", headers={"authorization": f"Bearer {key}"})


@pytest.mark.parametrize("error", [UnavailableError, SchemaError])
async def test_metrics_report_an_unavailable_database(
    client: httpx.AsyncClient, database: Database, error: type[Exception]
) -> None:
    assert Figures((await ask(client)).text)("rollcall_database_up") == 1
    database.error = error("away")
    response = await ask(client)
    assert response.status_code == 200
    assert Figures(response.text)("rollcall_database_up") == 0


async def test_while_it_is_away_a_key_that_was_not_good_is_not(
    client: httpx.AsyncClient, database: Database
) -> None:
    assert (await ask(client)).status_code == 200
    database.keys.clear()
    assert (await ask(client)).status_code == 401
    database.error = UnavailableError("away")

    assert (await ask(client)).status_code in {401, 503}  # as long as it is cached
    # Never seen: nobody can say, and 401 would not be the truth.
    assert (await ask(client, "rc_read_other")).status_code == 503
    assert (await client.get("/metrics")).status_code == 401


@pytest.mark.parametrize(
    ("scope", "status"),
    [("metrics", 200), ("read", 200), ("operate", 200), ("read:crm", 401)],
)
async def test_metrics_need_a_key_that_reads_every_source(
    client: httpx.AsyncClient, database: Database, scope: str, status: int
) -> None:
    database.scope = scope
    answer = await client.get("/metrics", headers=bearer("rc_read_known"))
    assert answer.status_code == status

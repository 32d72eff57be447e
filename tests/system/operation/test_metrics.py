"""The figures of a service of several workers, whichever is asked."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.support.http.wire import Wire, connected, event, request
from tests.support.limits import OUTAGE
from tests.support.metrics.samples import Figures
from tests.support.postgres.database import Database
from tests.support.service.load import under_load
from tests.support.service.process import Service, until
from tests.support.service.workers import both_workers, spread
from tests.system.conftest import Serve

GET = b"GET /metrics HTTP/1.1\r\nHost: rollcall\r\nAuthorization: Bearer %b\r\n\r\n"


@pytest.fixture
def key(database: Database) -> str:
    return database.key()


@pytest.fixture
def read_key(database: Database) -> str:
    return database.key("prometheus", scope="read")


def scrape(wire: Wire, read_key: str) -> Figures:
    """What the worker at the other end says."""
    wire.send(GET % read_key.encode())
    status, _, text = wire.answer_text()
    assert status == 200, text
    return Figures(text)


def figures_of(service: Service, read_key: str) -> Figures:
    """The figures that any worker returns."""
    with connected(service) as wire:
        return scrape(wire, read_key)


def stored(figures: Figures) -> float:
    return figures("rollcall_events_total", result="stored")


def test_every_worker_reports_the_sum_of_all(
    serve: Serve, key: str, read_key: str, database: Database
) -> None:
    service = serve("--workers", "2")
    with spread(service, at_least=8) as wires:
        for number, wire in enumerate(wires):
            wire.send(request(key, event(f"{number // 2}")))
            assert wire.answer()[0] == 200
            wire.send(request(key, b"no JSON"))
            assert wire.answer()[0] == 400
        sent = len(wires)
        # The other worker publishes once a second.
        until(
            lambda: all(
                scrape(wire, read_key)("rollcall_connections_open") >= sent
                and scrape(wire, read_key)(
                    "rollcall_refusals_total", code="invalid_json"
                )
                == sent
                for wire in wires
            ),
            within_s=60,
            what="the figures of both workers",
        )
        told = [scrape(wire, read_key) for wire in wires]

    rows = database.scalar("SELECT count(*) FROM events")
    for figures in told:
        assert stored(figures) == rows
        assert figures("rollcall_events_total", result="duplicate") == sent - rows
        assert figures("rollcall_refusals_total", code="invalid_json") == sent
        for status in ("200", "400"):
            labels = {"route": "/track", "status": status}
            assert figures("rollcall_requests_total", **labels) == sent
        assert figures("rollcall_request_duration_seconds_count") == 2 * sent
        assert figures("rollcall_commit_events_sum") == sent
        assert figures("rollcall_workers") == 2
        assert figures("rollcall_pool_connections_limit", pool="writing") == 6


async def test_killed_worker_decreases_no_counter(
    serve: Serve, key: str, read_key: str, database: Database
) -> None:
    service = serve("--workers", "2")
    both_workers(service)
    async with under_load(service.address, key) as load:
        await load.until_stored(200)
        before = await asyncio.to_thread(figures_of, service, read_key)
        os.kill(service.workers()[0], signal.SIGKILL)
        await load.until_stored(200)
        # Counted when another starts in its place.
        await asyncio.to_thread(
            until,
            lambda: figures_of(service, read_key)("rollcall_worker_crashes_total"),
            within_s=60,
            what="a successor",
        )
        after = await asyncio.to_thread(figures_of, service, read_key)
        service.signal(signal.SIGTERM)

    # Counted after the commit, and once.
    rows = await asyncio.to_thread(database.scalar, "SELECT count(*) FROM events")
    assert stored(before) <= stored(after) <= rows
    later = dict(after.counters())
    for series, value in before.counters():
        assert later[series] >= value, series


def test_kill_loses_and_repeats_no_published_count(
    serve: Serve, key: str, read_key: str
) -> None:
    service = serve("--workers", "2")
    with spread(service, at_least=8) as wires:
        sent = len(wires)
        for number, wire in enumerate(wires):
            wire.send(request(key, event(f"{number}")))
            assert wire.answer()[0] == 200
        # The other worker publishes once a second; a scrape publishes its own.
        until(
            lambda: all(stored(scrape(wire, read_key)) == sent for wire in wires),
            within_s=60,
            what="the counts of both workers",
        )
    [killed, _] = service.workers()
    os.kill(killed, signal.SIGKILL)
    told(service, read_key, "rollcall_worker_crashes_total", becomes=1)
    both_workers(service)
    with connected(service) as wire:
        wire.send(request(key, event("after")))
        assert wire.answer()[0] == 200
        figures = scrape(wire, read_key)

    assert stored(figures) == sent + 1
    labels = {"route": "/track", "status": "200"}
    assert figures("rollcall_requests_total", **labels) == sent + 1
    assert figures("rollcall_request_duration_seconds_count") == sent + 1
    assert figures("rollcall_commit_events_sum") == sent + 1


def allow_connections(database: Database, *, allowed: bool) -> None:
    """Have Postgres away for the service, and for nobody else; or back."""
    name = make_url(database.url).database
    database.admin.scalar(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {allowed}")
    if not allowed:
        database.admin.scalar(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            f" WHERE datname = '{name}'"
        )


def told(service: Service, read_key: str, name: str, *, becomes: float) -> None:
    until(
        lambda: figures_of(service, read_key)(name) == becomes,
        within_s=60,
        what=f"{name} {becomes:g}",
    )


def test_metrics_are_served_during_an_outage(
    serve: Serve, key: str, read_key: str, database: Database, tmp_path: Path
) -> None:
    state = OUTAGE | {"journal": "on", "data_dir": str(tmp_path / "state")}
    service = serve(**state)
    told(service, read_key, "rollcall_database_up", becomes=1)
    allow_connections(database, allowed=False)
    told(service, read_key, "rollcall_database_up", becomes=0)
    with connected(service) as wire:
        wire.send(request(key, event()))
        assert wire.answer()[0] == 200
    told(service, read_key, "rollcall_journal_events", becomes=1)

    figures = figures_of(service, read_key)
    assert figures("rollcall_events_total", result="buffered") == 1
    assert figures.total("rollcall_commit_failures_total") >= 1
    assert figures("rollcall_circuit_open") == 1
    assert 0 < figures("rollcall_journal_bytes") < 10_000
    assert figures("rollcall_journal_bytes_limit") > 1_000_000
    assert figures("rollcall_workers") == 1

    # One that never saw Postgres knows who may ask, too; and a write key is none.
    assert service.stop() == 0
    service = serve(**state)
    told(service, read_key, "rollcall_database_up", becomes=0)
    with connected(service) as wire:
        wire.send(GET % key.encode())
        assert wire.answer()[0] in {401, 503}
    allow_connections(database, allowed=True)
    told(service, read_key, "rollcall_database_up", becomes=1)
    told(service, read_key, "rollcall_journal_events", becomes=0)

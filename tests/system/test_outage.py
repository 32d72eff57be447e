"""The service while its Postgres is frozen or gone, and once it is back."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from app.embedded import Cluster
from app.store.migrations import migrate
from tests.conftest import Admin
from tests.support.cli.invocation import invoke
from tests.support.http.wire import post
from tests.support.limits import OUTAGE
from tests.support.postgres.database import Database, id_of
from tests.support.service.outages import frozen, sending
from tests.support.service.process import Service, environment, forked, until

# Three on a machine of its own: `make faults` holds that. Without the limits of the
# service, an answer would come with the end of the outage.
LONGEST_S = 30.0


@pytest.fixture
def own(own_cluster: Cluster, admin: Admin) -> Database:
    """The same, with an empty schema."""
    url = own_cluster.url()
    admin.runner.run(migrate(url))
    return Database(url, admin)


@pytest.fixture
def env(own: Database, tmp_path: Path) -> dict[str, str]:
    return environment(database_url=own.url, data_dir=str(tmp_path / "state"), **OUTAGE)


@pytest.fixture
def start(env: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Service]]:
    with ExitStack() as stack:

        def start(*arguments: str) -> Service:
            return stack.enter_context(
                forked("--port", "0", *arguments, env=env, log=tmp_path / "log.jsonl")
            )

        yield start


def stored_ids(database: Database) -> list[str]:
    return [row[0] for row in database.rows("SELECT message_id FROM events")]


def ready(service: Service) -> httpx.Response:
    return httpx.get(f"{service.address}/readyz", timeout=60)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_frozen_postgres_causes_no_error_for_senders(
    start: Callable[..., Service],
    own: Database,
    own_cluster: Cluster,
    workers: str,
    tmp_path: Path,
) -> None:
    key = own.key()
    before = len(stored_ids(own))
    service = start("--workers", workers)
    until(lambda: ready(service), within_s=60, what="a worker")  # the first is slow
    with sending(service.address, key) as senders:
        until(lambda: len(senders.told) > 200, within_s=60, what="some answers")
        with frozen(own_cluster):
            until(
                lambda: sum(told.result == "buffered" for told in senders.told) > 200,
                within_s=60,
                what="some events in the journal",
            )
            answer = ready(service)
            assert (answer.status_code, answer.json()["events"]) == (200, "buffered")
            assert answer.elapsed.total_seconds() < LONGEST_S
            unknown = post(service, "rc_unknown", "unknown")
            assert unknown.status_code == 503
            assert unknown.headers["retry-after"].isdigit()
            count = len(senders.told)
        thawed = senders.told[-1].at
        until(
            lambda: any(t.result == "stored" for t in senders.told[count:]),
            within_s=60,
            what="an event that is stored again",
        )
        back = next(t.at for t in senders.told[count:] if t.result == "stored")
    assert {told.status for told in senders.told} == {200}
    assert max(told.seconds for told in senders.told) < LONGEST_S
    journal = tmp_path / "state" / "journal"
    until(lambda: not any(journal.iterdir()), within_s=60, what="an empty journal")
    ids = stored_ids(own)[before:]
    assert back - thawed < LONGEST_S
    assert sorted(ids) == sorted(told.message_id for told in senders.told)
    assert ready(service).json()["events"] == "stored"
    assert service.stop() == 0


@pytest.fixture
def service(start: Callable[..., Service]) -> Service:
    service = start()
    until(lambda: ready(service), within_s=60, what="a worker")
    return service


def results(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [result["status"] for result in answer.json()["results"]]


def test_service_that_starts_without_postgres_takes_events(
    own: Database, env: dict[str, str], tmp_path: Path
) -> None:
    key = own.key()
    gone = invoke("keys", "create", "--source", "gone", env=env).stdout.strip()
    log = tmp_path / "log.jsonl"
    with forked("--port", "0", env=env, log=log) as service:
        assert results(post(service, gone, "early")) == ["stored"]
        declarations = ready(service).json()["declarations"]
    assert invoke("keys", "revoke", id_of(gone), env=env).returncode == 0
    nowhere = "postgresql://rollcall@127.0.0.1:1/rollcall"
    away = env | environment(database_url=nowhere, journal="on", **OUTAGE)
    started = datetime.now(UTC)
    with forked("--port", "0", env=away, log=log) as service:
        began = post(service, key, "without")
        assert results(began) == ["buffered"]
        assert began.json()["buffered"] == 1
        readiness = ready(service).json()
        since = datetime.fromisoformat(readiness.pop("since"))
        assert started < since < datetime.now(UTC)
        assert readiness == {
            "status": "ready",
            "events": "buffered",
            "reason": "connection refused",
            "declarations": declarations,
        }
        assert post(service, gone, "revoked").status_code == 503
        assert post(service, "rc_unknown", "unknown").status_code == 503
        [id_] = [result["id"] for result in began.json()["results"]]
    waits = invoke("journal", "status", env=env).stdout
    assert "1 events wait" in waits

    drained = invoke("journal", "drain", env=env)
    assert (drained.returncode, drained.stderr) == (0, "")
    assert drained.stdout == "1 events stored from 1 journals, 0 left.\n"
    [[stored]] = own.rows("SELECT id FROM events WHERE message_id = 'without'")
    assert str(stored) == id_
    assert "0 events wait" in invoke("journal", "status", env=env).stdout
    assert invoke("journal", "drain", env=env).stdout == "Nothing else waits.\n"


def test_events_buffered_by_a_killed_service_are_stored_by_the_next(
    start: Callable[..., Service],
    service: Service,
    own: Database,
    own_cluster: Cluster,
    env: dict[str, str],
) -> None:
    key = own.key()
    until(lambda: results(post(service, key, "m-0")), within_s=60, what="the key")
    with frozen(own_cluster):
        assert [results(post(service, key, f"m-{n}")) for n in range(1, 4)] == [
            ["buffered"]
        ] * 3
        status = invoke("journal", "status", env=env).stdout
        assert "owned" in status
        assert "3 events wait" in status
        workers = service.workers()
        service.kill()
        for worker in workers:  # which would outlive it, to drain
            os.kill(worker, signal.SIGKILL)
    until(
        lambda: "free" in invoke("journal", "status", env=env).stdout,
        within_s=60,
        what="a journal without an owner",
    )

    start()
    until(
        lambda: set(stored_ids(own)) >= {"m-1", "m-2", "m-3"},
        within_s=60,
        what="what was buffered",
    )
    assert own.scalar("SELECT count(*) FROM events WHERE message_id LIKE 'm-_'") == 4

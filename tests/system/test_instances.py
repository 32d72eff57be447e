"""Two instances on one data directory, and one that reads from a standby."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx
import orjson
import pytest
from sqlalchemy.engine import make_url

from app.embedded import Cluster
from app.store.migrations import migrate
from tests.conftest import Admin
from tests.support.http.wire import post
from tests.support.limits import OUTAGE
from tests.support.metrics.samples import Figures
from tests.support.postgres.database import Database
from tests.support.postgres.standby import pause_replay, resume_replay, standby_of
from tests.support.service.outages import frozen
from tests.support.service.process import Service, environment, forked, rollcall, until

Start = Callable[..., Service]
OURS = {"sec-fetch-site": "same-origin"}


@pytest.fixture(scope="module")
def database(own_cluster: Cluster, admin: Admin) -> Database:
    admin.runner.run(migrate(own_cluster.url()))
    return Database(own_cluster.url(), admin)


@pytest.fixture
def start(database: Database, tmp_path: Path) -> Iterator[Start]:
    """Start an instance, and wait until it is ready."""
    with ExitStack() as stack:

        def start(**settings: str) -> Service:
            env = environment(
                database_url=database.url,
                data_dir=str(tmp_path / "state"),
                **(OUTAGE | settings),
            )
            service = stack.enter_context(
                forked("--port", "0", env=env, log=tmp_path / "log.jsonl")
            )
            until(lambda: is_ready(service), within_s=60, what="a worker")
            return service

        yield start


def is_ready(service: Service) -> bool:
    answer = httpx.get(f"{service.address}/readyz", timeout=60)
    return answer.is_success


def send(service: Service, key: str, message_id: str) -> str:
    """Send an event; returns its status."""
    answer = post(service, key, message_id)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["results"][0]["status"])


def holds(service: Service, read_key: str, count: int) -> bool:
    """Whether an instance says that its journals hold so many events."""
    answer = httpx.get(
        f"{service.address}/metrics",
        headers={"authorization": f"Bearer {read_key}"},
        timeout=60,
    )
    return Figures(answer.text)("rollcall_journal_events") == count


def test_two_instances_on_one_data_directory_keep_their_journals_apart(
    start: Start, own_cluster: Cluster, database: Database, tmp_path: Path
) -> None:
    key, read_key = database.key(), database.key("ann", scope="read")
    first, second = start(), start()
    journal = tmp_path / "state" / "journal"
    with frozen(own_cluster):
        for number, service in enumerate((first, first, first, second, second)):
            assert send(service, key, f"shared-{number}") == "buffered"
        # Each counts its own events, so a sum over both counts no event twice.
        for service, count in ((first, 3), (second, 2)):
            until(
                partial(holds, service, read_key, count),
                within_s=60,
                what=f"{count} events in the journal of an instance",
            )
        assert len([*journal.glob("*.sqlite3")]) == 2
        second.kill()
    until(lambda: not any(journal.iterdir()), within_s=60, what="an empty journal")
    stored = database.rows("SELECT message_id FROM events")
    assert sorted(row[0] for row in stored) == [f"shared-{n}" for n in range(5)]


@pytest.fixture
def standby_url(own_cluster: Cluster, database: Database) -> Iterator[str]:
    with standby_of(own_cluster) as standby:
        yield standby.url(str(make_url(database.url).database))


def test_instance_reads_from_a_standby_and_writes_to_the_primary(
    start: Start, database: Database, standby_url: str, tmp_path: Path
) -> None:
    key, read_key = database.key(), database.key("eve", scope="read")
    service = start(read_url=standby_url)
    headers = {"authorization": f"Bearer {read_key}"}

    def shown() -> set[str]:
        answer = httpx.get(
            f"{service.address}/v1/events?limit=100", headers=headers, timeout=60
        )
        return {each["message_id"] for each in answer.json()["events"]}

    assert send(service, key, "read-1") == "stored"
    until(lambda: "read-1" in shown(), within_s=60, what="the event on the standby")
    asyncio.run(pause_replay(standby_url))
    assert send(service, key, "read-2") == "stored"
    assert "read-2" not in shown()
    # Sessions are written, so they are on the primary.
    with httpx.Client(base_url=service.address, timeout=60) as browser:
        answer = browser.post("/sign-in", data={"key": read_key}, headers=OURS)
        assert answer.status_code == 303
        assert browser.get("/state").status_code == 200
    asyncio.run(resume_replay(standby_url))
    until(lambda: "read-2" in shown(), within_s=60, what="the later event")

    env = environment(
        database_url=database.url,
        read_url=standby_url,
        data_dir=str(tmp_path / "state"),
    )
    exported = rollcall("export", env=env)
    assert exported.returncode == 0, exported.stderr
    lines = [orjson.loads(line) for line in exported.stdout.splitlines()]
    assert {"read-1", "read-2"} <= {line["message_id"] for line in lines}

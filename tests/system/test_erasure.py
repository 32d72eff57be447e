"""`rollcall erase` on a running service leaves no form of a person anywhere."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from app.embedded import Cluster, running
from app.store.journal.fallback import journal_directory
from app.store.journal.journal import Journal, prepare
from app.store.migrations import migrate
from tests.support.pipeline import persons
from tests.support.pipeline.persons import EMAIL, EMAIL_2, ID, NUMBER, find_needles
from tests.support.postgres.embedded import SMALL, reachable_directory, sql
from tests.support.service.process import (
    ROLLCALL,
    Service,
    environment,
    forked,
    rollcall,
    until,
)
from tests.support.store.entries import record

ALL = {**persons.OWN, **persons.MENTIONS, **persons.OTHERS}
PERSON = ("--user", ID, "--email", EMAIL, "--email", EMAIL_2)


@dataclass(frozen=True, slots=True)
class Site:
    """A service whose journal and Postgres are in one data directory."""

    service: Service
    cluster: Cluster
    data_dir: Path
    env: dict[str, str]
    key: str
    read_key: str

    def post(self, sent: persons.Sent) -> dict[str, Any]:
        """Send one event; returns its result."""
        is_encoded = isinstance(sent.event, bytes)
        answer = httpx.post(
            f"{self.service.address}/track",
            content=sent.event if is_encoded else json.dumps(sent.event),
            timeout=60,
            headers={
                "Authorization": f"Bearer {self.key}",
                "Content-Type": "application/json",
                **sent.headers,
            },
        )
        assert "results" in answer.json(), answer.text
        result: dict[str, Any] = answer.json()["results"][0]
        return result

    def get(self, path: str, **query: str) -> None:
        headers = {"Authorization": f"Bearer {self.read_key}"}
        address = self.service.address + path
        assert (
            httpx.get(address, params=query, headers=headers, timeout=60).status_code
            == 200
        )

    def dump(self) -> bytes:
        done = subprocess.run(
            [
                *(self.cluster.bin_dir / "pg_dump", "-h", self.cluster.socket_dir),
                *("-U", "postgres", "rollcall"),
            ],
            check=True,
            capture_output=True,
            env={},
        )
        return done.stdout

    def files(self) -> Iterator[Path]:
        """All files below the data directory but the write-ahead log."""
        sql(self.cluster, "CHECKPOINT")
        for path in self.data_dir.rglob("*"):
            if path.is_file() and "pg_wal" not in path.parts:
                yield path


@pytest.fixture
def site() -> Iterator[Site]:
    with (
        reachable_directory() as data_dir,
        running(data_dir, settings=SMALL) as cluster,
    ):
        asyncio.run(migrate(cluster.url()))
        env = environment(
            database_url=cluster.url(),
            data_dir=str(data_dir),
            commit_timeout_seconds="6",  # the test waits for two of them
        )
        keys = [
            rollcall("keys", "create", "--source", source, "--scope", scope, env=env)
            for source, scope in (("billing", "write"), ("ann", "read"))
        ]
        log = data_dir / "service.log"
        with forked("--port", "0", env=env, log=log) as service:
            yield Site(
                service, cluster, data_dir, env, *(key.stdout.strip() for key in keys)
            )


@contextmanager
def locked(cluster: Cluster) -> Iterator[None]:
    """Nobody can store an event meanwhile."""
    with asyncio.Runner() as runner:
        dsn = cluster.url().replace("+asyncpg", "")
        connection = runner.run(asyncpg.connect(dsn))
        runner.run(connection.execute("BEGIN; LOCK TABLE event_ids IN EXCLUSIVE MODE"))
        try:
            yield
        finally:
            runner.run(connection.close())


def leave_journal(data_dir: Path) -> None:
    """The journal of a process that died."""

    async def write() -> None:
        directory = journal_directory(data_dir)
        prepare(directory)
        journal = Journal(directory, max_bytes=1024**2)
        await journal.append(
            [[record("left", user_id=ID, email=EMAIL), record("l2", email=EMAIL_2)]]
        )
        await journal.close()

    asyncio.run(write())


def erase(site: Site, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
    command = [str(ROLLCALL), "erase", *arguments, "--mentions", "redact", "--yes"]
    with log.open("wb") as stderr:
        return subprocess.Popen(command, env=site.env, stderr=stderr)


def test_erasure_leaves_no_form_in_a_dump_or_a_file(site: Site, tmp_path: Path) -> None:
    for name, sent in ALL.items():
        assert site.post(sent)["status"] in sent.statuses, name
    site.get("/v1/events", user_id=ID)
    site.get("/find", email=EMAIL)
    before = find_needles(site.dump())
    for needle in persons.NEEDLES:
        assert any(needle in found for found in before), needle
    assert any(find_needles(path.read_bytes()) for path in site.files())

    log = tmp_path / "erase.log"
    with locked(site.cluster):
        for name in ("user id", "value"):
            event = ALL[name].event | {"message_id": f"late {name}"}
            assert site.post(persons.Sent(event))["status"] == "buffered"
        bad = ALL["rejected"].event | {"message_id": "late"}
        assert site.post(persons.rejected(bad))["status"] == "rejected"
        leave_journal(site.data_dir)
        erasing = erase(site, *PERSON, log=log)
        until(lambda: b"journals" in log.read_bytes(), within_s=60, what="a list")
        assert b"hold 3 entries of the person and 2 mentions" in log.read_bytes()
        assert erasing.poll() is None
    assert erasing.wait(60) == 0, log.read_text()
    assert b"4 rejected events with a cut payload" in log.read_bytes()
    assert erase(site, "--user", NUMBER, log=log).wait(60) == 0, log.read_text()

    assert find_needles(site.dump()) == []
    for path in site.files():
        assert find_needles(path.read_bytes()) == [], path
    kept = sql(site.cluster, "SELECT count(*) FROM events WHERE user_id = 'zoë'")
    assert kept == "1"
    receipts = sql(
        site.cluster, "SELECT count(*) FROM audit_log WHERE action = 'erase'"
    )
    assert receipts == "2"

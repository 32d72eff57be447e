"""The command that distributes events over Citus; service and commands on shards."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import Admin
from tests.support.faults.ledger import make_event
from tests.support.postgres.citus import execute, undistributed_database
from tests.support.postgres.database import Database
from tests.support.service.process import environment, rollcall, serving, until

PAGES = ("/", "/live", "/overview", "/find", "/rejected", "/v1/events", "/v1/rejected")


@pytest.fixture
def empty(admin: Admin) -> Iterator[Database]:
    """A database on the cluster that is not distributed yet."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        database = undistributed_database()
        url = runner.run(database.__aenter__())
        try:
            yield Database(url, admin)
        finally:
            runner.run(database.__aexit__(None, None, None))


def test_service_stores_by_bucket_and_commands_work(
    empty: Database, tmp_path: Path
) -> None:
    env = environment(database_url=empty.url, data_dir=str(tmp_path / "state"))
    refused = rollcall("distribute", "--buckets", "4", env=env, stdin="n\n")
    assert refused.returncode == 1
    assert "holds for ever" in refused.stderr
    assert empty.rows("SELECT bucket FROM buckets") == [(0,)]
    with serving("--port", "0", env=env, log=tmp_path / "log.jsonl") as service:
        # The service learns of the buckets when its statement for one fails.
        done = rollcall("distribute", "--buckets", "4", "--yes", env=env)
        assert done.returncode == 0, done.stderr
        assert "4 buckets on 2 nodes" in done.stderr
        key, reader = empty.key(), empty.key(scope="read")
        headers = {"authorization": f"Bearer {key}"}
        events = [make_event(number) for number in range(40)]

        def post() -> set[str]:
            response = httpx.post(
                f"{service.address}/track", json=events, headers=headers, timeout=60
            )
            assert response.status_code == 200, response.text
            return {result["status"] for result in response.json()["results"]}

        assert post() <= {"buffered", "stored"}
        until(lambda: post() == {"duplicate"}, within_s=60, what="buckets that store")
        assert empty.scalar("SELECT count(DISTINCT bucket) FROM events") == 4
        assert empty.scalar("SELECT count(*) FROM events") == 40
        for page in PAGES:
            answer = httpx.get(
                f"{service.address}{page}",
                headers={"authorization": f"Bearer {reader}"},
                timeout=60,
            )
            assert answer.status_code == 200, page

    file = tmp_path / "more.ndjson"
    more = [make_event(number) for number in range(30, 90)]
    file.write_text("\n".join(map(json.dumps, more)))
    imported = rollcall("import", str(file), "--source", "billing-backend", env=env)
    assert imported.returncode == 0, imported.stderr
    assert empty.scalar("SELECT count(*) FROM events") == 90
    exported = rollcall("export", env=env)
    assert len(exported.stdout.splitlines()) == 90
    undo = re.search(r"[0-9a-f]{8}-[0-9a-f-]{27}", imported.stderr + imported.stdout)
    assert undo is not None
    undone = rollcall("import", "--undo", undo[0], "--yes", env=env)
    assert undone.returncode == 0, undone.stderr
    assert empty.scalar("SELECT count(*) FROM event_ids") == 40
    status = rollcall("journal", "status", env=env)
    assert "0 events wait" in status.stdout
    asyncio.run(execute(empty.url, "DROP FUNCTION rollcall_store_in_bucket"))
    refused = rollcall("import", str(file), "--source", "billing-backend", env=env)
    assert "run `rollcall migrate`" in refused.stderr
    migrated = rollcall("migrate", env=env)
    assert migrated.returncode == 0, migrated.stderr
    imported = rollcall("import", str(file), "--source", "billing-backend", env=env)
    assert imported.returncode == 0, imported.stderr
    again = rollcall("distribute", "--buckets", "4", "--yes", env=env)
    assert "4 buckets already" in again.stderr

"""Keys, their use and the audit log, as an operator and a service of little rights."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import asyncpg
import httpx
import pytest

from migrations.statements import read_script
from tests.conftest import Admin
from tests.support.cli.invocation import invoke
from tests.support.http.wire import event
from tests.support.postgres.database import Database, id_of, new_database
from tests.support.service.process import environment, served

LOGIN = "rollcall_test_service"


@pytest.fixture(scope="module")
def database(admin: Admin, template_url: str) -> Iterator[Database]:
    with new_database(admin, template_url) as database:
        database.admin.runner.run(_grant(database))
        yield database


async def _grant(database: Database) -> None:
    connection = await asyncpg.connect(database.url.replace("+asyncpg", ""))
    await connection.execute(read_script("roles.sql"))
    await connection.execute(
        f"DO $$ BEGIN IF to_regrole('{LOGIN}') IS NULL THEN "
        f"CREATE ROLE {LOGIN}; END IF; END $$; "
        f"GRANT rollcall_service, rollcall_reader TO {LOGIN}"
    )
    await connection.close()


@pytest.fixture
def env(database: Database) -> dict[str, str]:
    return environment(database_url=database.url)


def create(env: dict[str, str], *options: str) -> str:
    done = invoke("keys", "create", "--source", *options, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_use_and_reads_are_recorded_by_a_role_of_little_rights(
    database: Database, env: dict[str, str], tmp_path: Path
) -> None:
    [[today]] = database.rows("SELECT current_date")
    sender = create(env, "crm")
    reader = create(env, "ann", "--scope", "read:crm", "--expires", "30d")
    url = f"{database.url}&options={quote(f'-c role={LOGIN}')}"
    with served(url, tmp_path) as service:
        sent = httpx.post(
            f"{service.address}/track",
            content=event("m1"),
            headers={
                "authorization": f"Bearer {sender}",
                "content-type": "application/json",
            },
            timeout=60,
        )
        assert sent.json()["stored"] == 1
        bearer = {"authorization": f"Bearer {reader}"}
        seen = httpx.get(f"{service.address}/v1/events", headers=bearer, timeout=60)
        assert [each["source"] for each in seen.json()["events"]] == ["crm"]
        other = {"source": "billing"}
        denied = httpx.get(
            f"{service.address}/v1/events", params=other, headers=bearer, timeout=60
        )
        assert denied.status_code == 403
        page = httpx.get(f"{service.address}/overview", headers=bearer, timeout=60)
        assert page.status_code == 401
        assert service.stop() == 0
    [[actor, details]] = database.rows(
        "SELECT actor, details FROM audit_log WHERE action = 'read'"
    )
    assert actor == f"key:{id_of(reader)}"
    assert details == {"requests": 2, "paths": {"/v1/events": 2}}
    used = database.rows(
        "SELECT id FROM write_keys WHERE last_used_on >= :today", today=today
    )
    assert sorted(row[0] for row in used) == sorted([id_of(sender), id_of(reader)])


def test_keys_are_rotated_listed_and_revoked_by_id(env: dict[str, str]) -> None:
    old = create(env, "billing", "--note", "Oslo cluster")
    rotated = invoke("keys", "rotate", id_of(old), "--keep", "2h", env=env)
    new = rotated.stdout.strip()
    assert (rotated.returncode, new.startswith("rc_")) == (0, True)
    refused = invoke("keys", "revoke", new, env=env)
    assert refused.returncode == 1
    assert new not in refused.stderr
    assert invoke("keys", "revoke", id_of(new), env=env).returncode == 0

    listed = invoke("keys", "list", env=env).stdout
    lines = {line.split()[0]: line for line in listed.splitlines()}
    assert re.search(r"billing +write .* never +expires 20.*Oslo", lines[id_of(old)])
    assert re.search(r"revoked 20.*Oslo cluster", lines[id_of(new)])
    assert old not in listed


def test_key_from_standard_input_may_be_given_again(env: dict[str, str]) -> None:
    given = "rc_" + "0123456789abcdef" * 3
    options = ("keys", "create", "--source", "web", "--from-stdin")
    for _ in range(2):
        done = invoke(*options, env=env, stdin=f"{given}\n")
        assert (done.stdout, done.returncode) == ("", 0), done.stderr
        assert id_of(given) in done.stderr
        assert given not in done.stderr
    other = invoke(
        "keys", "create", "--source", "x", "--from-stdin", env=env, stdin=given
    )
    assert other.returncode == 1
    assert "belongs to web" in other.stderr


def test_check_names_failures_and_ends_with_status_1(
    database: Database, env: dict[str, str], tmp_path: Path
) -> None:
    looks = invoke("check", env=env | environment(data_dir=str(tmp_path)))
    assert "ok   synchronous_commit: on" in looks.stdout
    assert (looks.returncode == 1) is ("FAIL" in looks.stdout)
    wrong = environment(database_url=f"{database.url}&no_such_setting=1")
    fails = invoke("check", env=wrong)
    assert fails.returncode == 1
    assert "FAIL database: not usable" in fails.stdout
    assert "42704" in fails.stdout

"""The commands in the documents run."""

import json
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typing_extensions import override

from app.embedded import find_binaries
from app.settings import child_environment
from app.store.migrations import check_schema
from app.store.operator.psql import psql_environment
from app.store.operator_session import in_operator_transaction
from tests.conftest import Admin
from tests.support.cli.invocation import invoke
from tests.support.docs.markdown import blocks, read, section
from tests.support.postgres.database import Database
from tests.support.service.process import environment, rollcall
from tests.support.service.tenant import Tenant

README = read("README.md")
DATA_LIFECYCLE = read("docs/data-lifecycle.md")
MONITORING = read("docs/monitoring.md")
SECURITY = read("docs/security.md")
PYTHON_USER = """
from datetime import datetime, timezone
from types import SimpleNamespace
user = SimpleNamespace(id=7, email="ann@example.com", name="Ann",
                       created_at=datetime(2023, 11, 2, tzinfo=timezone.utc))
print(after_sign_up(user)["status"])
"""
NODE_USER = """
const user = { id: 7, email: "ann@example.com", name: "Ann",
               createdAt: new Date("2023-11-02T00:00:00Z") };
console.log((await afterSignUp(user)).status);
"""


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(
    *command: str | Path, env: dict[str, str], cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=child_environment(**env),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def psql(url: str, script: str) -> str:
    done = subprocess.run(
        [find_binaries() / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-f", "-"],
        env=child_environment(**psql_environment(url)),
        input=script,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def snippet(title: str, language: str) -> str:
    [text] = blocks(section(README, title), language)
    return text


def sql_of(document: str, title: str) -> list[str]:
    return blocks(section(document, title), "sql")


@pytest.fixture
def sender(tenant: Tenant) -> dict[str, str]:
    return {"TRACK_URL": tenant.service.address, "TRACK_KEY": tenant.key}


def test_curl_of_the_readme_stores_an_event(
    tenant: Tenant, sender: dict[str, str]
) -> None:
    program("curl")
    done = run(program("bash"), "-euc", snippet("curl", "sh"), env=sender)

    assert '"status":"stored"' in done.stdout, done.stderr
    assert '"warnings":[]' in done.stdout
    told = tenant.rows(
        "SELECT user_id, timestamp_iso FROM signed_up WHERE source = :source"
    )
    assert told == [("user_123", "2023-11-02T00:30:08.276Z")]


def test_curls_of_the_read_api_read(tenant: Tenant, sender: dict[str, str]) -> None:
    program("curl")
    sent = run(program("bash"), "-euc", snippet("curl", "sh"), env=sender)
    assert '"success":true' in sent.stdout
    refused = {
        "event": "signed_up",
        "user_id": "u",
        "timestamp": "yesterday",
        "properties": {"email": "a@b.c"},
    }
    assert tenant.post(json.dumps(refused).encode()).status_code == 422
    reader = {
        "TRACK_URL": tenant.service.address,
        "READ_KEY": tenant.database.key("ann", scope="read"),
    }

    create, *curls = blocks(read("docs/reading.md"), "sh")
    of_tenant = [curl.replace("billing-backend", tenant.source) for curl in curls]
    answers = [
        run(program("bash"), "-euc", curl, env=reader).stdout for curl in of_tenant
    ]

    assert shlex.split(create)[:3] == ["rollcall", "keys", "create"]
    events, rejected, lines = answers
    assert tenant.source in {row["source"] for row in json.loads(events)["events"]}
    assert tenant.source in {row["source"] for row in json.loads(rejected)["events"]}
    [line] = lines.splitlines()
    assert json.loads(line)["user_id"] == "user_123"


def sample_client(language: str, folder: Path, user: str) -> list[str | Path]:
    """The command that runs the sample client of the README, with this at its end."""
    if language == "python":
        script = folder / "send.py"
        script.write_text(snippet("Python", "python") + user)
        return [sys.executable, script]
    script = folder / "send.mjs"
    script.write_text(snippet("Node", "js") + user)
    return [program("node"), script]


CLIENTS = [("python", PYTHON_USER), ("js", NODE_USER)]


@pytest.mark.parametrize(("language", "user"), CLIENTS)
def test_sample_client_delivers_once_and_shows_why_it_fails(
    language: str, user: str, tenant: Tenant, sender: dict[str, str], tmp_path: Path
) -> None:
    command = sample_client(language, tmp_path, user)

    first = run(*command, env=sender)
    again = run(*command, env=sender | {"TRACK_URL": sender["TRACK_URL"] + "/"})
    refused = run(*command, env=sender | {"TRACK_KEY": "rc_wrong"})

    assert (first.stdout, first.returncode) == ("stored\n", 0), first.stderr
    assert (again.stdout, again.returncode) == ("duplicate\n", 0), again.stderr
    assert refused.returncode != 0
    assert "401: " in refused.stderr
    assert '"unauthorized"' in refused.stderr
    assert tenant.rows(
        "SELECT user_id, message_id, warnings FROM signed_up WHERE source = :source"
    ) == [("7", "signed_up:7", [])]


@pytest.mark.parametrize(("language", "user"), CLIENTS)
@pytest.mark.parametrize("change", ["id", "email"])
def test_sample_client_cannot_turn_a_missing_attribute_into_text(
    language: str,
    user: str,
    change: str,
    tenant: Tenant,
    tmp_path: Path,
) -> None:
    missing = "None" if language == "python" else "undefined"
    values = {"id": "7", "email": '"ann@example.com"'}
    separator = "=" if language == "python" else ": "
    given = f"{change}{separator}{values[change]}"
    assert given in user
    command = sample_client(
        language, tmp_path, user.replace(given, f"{change}{separator}{missing}")
    )

    env = {"TRACK_URL": tenant.service.address, "TRACK_KEY": tenant.key}
    done = run(*command, env=env)

    assert done.returncode != 0
    assert ("required value is missing" if change == "id" else "422: ") in done.stderr
    assert tenant.rows("SELECT id FROM events WHERE source = :source") == []


@pytest.mark.parametrize(("language", "user"), CLIENTS)
def test_sample_client_obeys_retry_after_and_logs_a_warning_once(
    language: str, user: str, tmp_path: Path
) -> None:
    twice = user.replace("print(", "after_sign_up(user)\nprint(").replace(
        "console.log(", "await afterSignUp(user);\nconsole.log("
    )
    command = sample_client(language, tmp_path, twice)
    with busy_service(retry_after_s=3) as (address, times):
        done = run(*command, env={"TRACK_URL": address, "TRACK_KEY": "rc_any"})

    assert (done.stdout, done.returncode) == ("stored\n", 0), done.stderr
    assert done.stderr.count("offset_assumed_utc") == 1
    assert len(times) == 3
    assert times[1] - times[0] >= 3


@contextmanager
def busy_service(*, retry_after_s: int) -> Iterator[tuple[str, list[float]]]:
    """A service that has no time at first, and then warns; and when it was asked."""
    times: list[float] = []
    warning = {"code": "offset_assumed_utc", "path": "timestamp", "message": "M."}
    body = json.dumps({"results": [{"status": "stored", "warnings": [warning]}]})

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            times.append(time.monotonic())
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(503 if len(times) == 1 else 200)
            self.send_header("Retry-After", str(retry_after_s))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        @override
        def log_message(self, format: str, *args: object) -> None:
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", times
        server.shutdown()
        thread.join()


def test_sql_of_the_quick_start_runs(tenant: Tenant) -> None:
    [line] = [b for b in blocks(section(README, "Quick start"), "sh") if "psql" in b]
    _, *arguments = shlex.split(line)
    done = rollcall(*arguments, env=environment(database_url=tenant.database.url))
    assert done.returncode == 0, done.stderr
    assert "timestamp_iso" in done.stdout


def test_roles_can_be_given(database_url: str) -> None:
    [block] = sql_of(SECURITY, "Roles")
    # Roles are the whole server's, so none of this may last.
    script = f"BEGIN;\n{read('migrations/roles.sql')}\n{block}\nROLLBACK;"
    psql(database_url, script)


def test_commands_of_retention_run_as_printed(database: Database) -> None:
    psql(database.url, KNOWN)
    for command in blocks(section(DATA_LIFECYCLE, "Retention"), "sh")[0].splitlines():
        _, *arguments = shlex.split(command, comments=True)
        done = invoke(
            *arguments, env=environment(database_url=database.url, retention_days="400")
        )
        assert done.returncode == 0, done.stderr
    assert database.scalar("SELECT count(*) FROM events") == 2


def test_commands_of_erasure_run_as_printed(database: Database) -> None:
    psql(database.url, KNOWN)
    first, second = blocks(section(DATA_LIFECYCLE, "Erase a person"), "sh")[
        0
    ].splitlines()
    env = environment(database_url=database.url)

    listed = invoke(*shlex.split(first)[1:], env=env)
    assert listed.returncode == 0, listed.stderr
    assert database.scalar("SELECT count(*) FROM events") == 2
    erased = invoke(*shlex.split(second)[1:], env=env, stdin="y\n")
    assert erased.returncode == 0, erased.stderr

    assert database.rows("SELECT user_id FROM events") == [("user_456",)]
    assert database.scalar("SELECT count(*) FROM rejected_events") == 1
    assert database.scalar("SELECT count(*) FROM erasures") == 1


def test_documented_monitoring_queries_run(database: Database) -> None:
    psql(database.url, KNOWN)
    [block] = sql_of(MONITORING, "What to watch")

    answers = psql(database.url, block)

    assert "billing|3\n" in answers
    assert "event_ids|" in answers
    assert "|active|1\n" in answers


@pytest.fixture
def other_database_url(admin: Admin) -> Iterator[str]:
    with admin.database() as url:
        yield url


def test_dump_is_restored_whole(
    database: Database, other_database_url: str, tmp_path: Path
) -> None:
    psql(database.url, KNOWN + read("migrations/roles.sql"))
    commands = blocks(section(DATA_LIFECYCLE, "Backup and restore"), "sh")[0]
    restored = Database(other_database_url, database.admin)
    libpq = {
        "ROLLCALL_DATABASE_URL": database.url.replace("+asyncpg", ""),
        "NEW": other_database_url.replace("+asyncpg", ""),
        "PATH": f"{find_binaries()}:{child_environment()['PATH']}",
    }

    script = commands.replace("NEW_DATABASE", '"$NEW"')
    done = run(program("bash"), "-euc", script, env=libpq, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    for each in (database, restored):
        assert each.scalar("SELECT count(*) FROM events JOIN event_ids USING (id)") == 2
    database.admin.runner.run(in_operator_transaction(restored.url, check_schema))
    assert restored.scalar(
        "SELECT has_function_privilege('rollcall_service', "
        "'rollcall_ensure_partitions(integer)', 'EXECUTE')"
    )
    assert not restored.scalar(
        "SELECT has_function_privilege('public', "
        "'rollcall_ensure_partitions(integer)', 'EXECUTE')"
    )


KNOWN = """
INSERT INTO event_ids (id, stored_at, content_hash) VALUES
    ('00000000-0000-8000-8000-000000000001', now(), ''),
    ('00000000-0000-8000-8000-000000000002', now(), '');
INSERT INTO events (
    id, source, event, user_id, timestamp, timestamp_raw, received_at, properties,
    context
) VALUES
    ('00000000-0000-8000-8000-000000000001', 'billing', 'signed_up', 'user_123',
        now(), '', now(), '{}', '{}'),
    ('00000000-0000-8000-8000-000000000002', 'billing', 'signed_up', 'user_456',
        now(), '', now(), '{}', '{}');
INSERT INTO rejected_events (
    id, received_at, source, reason, errors, warnings, payload, payload_bytes,
    truncated, request_id
) VALUES
    ('00000000-0000-8000-8000-000000000003', now(), 'billing', 'missing_field',
        '[]', '[]', '{"user_id":"user_123"}', 22, false, ''),
    ('00000000-0000-8000-8000-000000000004', now(), 'billing', 'missing_field',
        '[]', '[]', '{"user_id":"user_1234"}', 23, false, '');
INSERT INTO rejected_drops (minute, source, worker, events) VALUES
    (now(), 'billing', 'a', 1), (now(), 'billing', 'b', 2);
"""

"""Configurations that cannot work end the service with one sentence; outages do not."""

import asyncio
import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from app.cli.prepared_service import prepared_service
from app.embedded import Cluster, running
from app.errors import OperatorError
from app.settings import Settings
from app.store.migrations import migrate
from tests.conftest import Admin
from tests.support.http.wire import post
from tests.support.limits import OUTAGE
from tests.support.postgres.database import Database
from tests.support.postgres.embedded import SMALL, reachable_directory, sql
from tests.support.postgres.proxy import Proxy
from tests.support.service.process import (
    Service,
    environment,
    forked,
    rollcall,
    until,
)

PASSWORD = "pass-w0rd"
ACCESS = """
local all postgres trust
local all barred reject
local all all scram-sha-256
"""
ROLES = f"""
CREATE ROLE app LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE barred LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE stranger LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE collector LOGIN PASSWORD '{PASSWORD}';
CREATE DATABASE pooled;
CREATE DATABASE closed;
REVOKE CONNECT ON DATABASE closed FROM PUBLIC;
GRANT ALL ON DATABASE rollcall TO app;
"""
# The error of a pooler at login, raised by a real Postgres.
LOGIN_TRIGGER = """
CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'unsupported startup parameter' USING ERRCODE = '08P01';
END $$;
CREATE EVENT TRIGGER refuse ON login EXECUTE FUNCTION refuse();
"""


@pytest.fixture(scope="module")
def guarded() -> Iterator[Cluster]:
    """A Postgres that asks for passwords."""
    with reachable_directory() as directory:
        with running(directory, settings=SMALL):
            pass
        rules = directory / "postgres" / "pg_hba.conf"
        rules.write_text(ACCESS)
        with running(directory, settings=SMALL) as cluster:
            for statement in filter(str.strip, ROLES.split(";")):
                sql(cluster, statement)
            yield cluster


@pytest.fixture(scope="module")
def migrated(guarded: Cluster, admin: Admin) -> Cluster:
    """Its database, with a schema that the role app owns."""
    sql(guarded, "GRANT ALL ON SCHEMA public TO app")
    admin.runner.run(migrate(url_of(guarded)))
    sql(guarded, "GRANT SELECT ON alembic_version, buckets TO collector")
    return guarded


def url_of(
    cluster: Cluster,
    *,
    user: str = "app",
    password: str = PASSWORD,
    database: str = "rollcall",
    **query: str,
) -> str:
    url = make_url(cluster.url()).set(
        drivername="postgresql", username=user, password=password, database=database
    )
    return url.update_query_dict(query).render_as_string(hide_password=False)


def refusal(tmp_path: Path, url: str) -> str:
    """The error of the start, in this process, as `rollcall serve` prints it."""
    settings = Settings(database_url=SecretStr(url), data_dir=tmp_path / "data")
    with (
        pytest.raises(OperatorError) as refused,
        prepared_service(settings, "http://127.0.0.1:1"),
    ):
        pytest.fail("the service would start")
    said = refused.value.detail
    assert PASSWORD not in said
    assert "\n" not in said
    return said


def refused(tmp_path: Path, **settings: str) -> str:
    """Start the service; return the line with which it ended."""
    settings = OUTAGE | {"data_dir": str(tmp_path / "data")} | settings
    done = rollcall("serve", "--port", "0", env=environment(**settings))
    assert done.returncode == 1, done.stderr
    assert PASSWORD not in done.stderr
    assert done.stdout == ""
    # Before it the log may warn of the interpreter.
    lines = [line for line in done.stderr.splitlines() if line.startswith("rollcall: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0].removeprefix("rollcall: ")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            {"password": "guess"},
            r".* role app: password refused \(28P01: .*\)\. Correct the user or the .*",
        ),
        ({"user": "barred"}, r".*role barred: login refused \(28000: .*pg_hba\.conf.*"),
        (
            {"database": "nowhere"},
            r"The database nowhere .*: database does not exist \(3D000: .*",
        ),
        (
            {"database": "closed"},
            r"The database closed .*permission denied \(42501.*",
        ),
        ({"user": "stranger"}, r".*role stranger: permission denied \(42501: .*"),
        (
            {"user": "collector"},
            r".*role collector: .* the role lacks INSERT on events, .*/roles\.sql.*",
        ),
        ({"no_such_setting": "1"}, r".*unknown setting or object \(42704: .*"),
    ],
    ids=lambda wrong: "-".join(wrong.values()) if isinstance(wrong, dict) else "",
)
def test_serve_ends_where_the_server_refuses(
    migrated: Cluster, tmp_path: Path, wrong: dict[str, str], sentence: str
) -> None:
    said = refusal(tmp_path, url_of(migrated, **wrong))
    assert re.fullmatch(sentence, said), said


def test_serve_with_a_refused_password_ends_with_one_line_and_status_1(
    migrated: Cluster, tmp_path: Path
) -> None:
    wrong = url_of(migrated, password="guess")
    assert refused(tmp_path, database_url=wrong) == refusal(tmp_path, wrong)


def test_serve_ends_where_a_pooler_refuses_its_parameters(
    guarded: Cluster, tmp_path: Path, admin: Admin
) -> None:
    async def guard() -> None:
        connection = await asyncpg.connect(
            user="postgres", host=str(guarded.socket_dir), database="pooled"
        )
        await connection.execute(LOGIN_TRIGGER)
        await connection.close()

    admin.runner.run(guard())
    said = refusal(tmp_path, url_of(guarded, database="pooled"))
    assert "connection parameters refused (08P01: unsupported startup" in said


async def test_serve_ends_where_the_server_has_no_tls(
    guarded: Cluster, tmp_path: Path
) -> None:
    async with Proxy(url_of(guarded)).listening() as proxy:
        said = await asyncio.to_thread(
            refusal, tmp_path, f"{proxy.url}?sslmode=require"
        )
    assert re.search(r"at 127\.0\.0\.1:\d+, .*: server does not offer TLS", said)
    assert "sslmode" in said


NOWHERE = "postgresql://app@no-such-host.invalid/rollcall"


def test_serve_without_keys_or_journal_ends_where_no_host_can_be_resolved(
    tmp_path: Path,
) -> None:
    said = refused(tmp_path, database_url=NOWHERE)
    assert "no-such-host.invalid:5432" in said
    assert "host name cannot be resolved" in said


@contextmanager
def started(tmp_path: Path, **settings: str) -> Iterator[Service]:
    settings = OUTAGE | {"data_dir": str(tmp_path / "data")} | settings
    log = tmp_path / "log.jsonl"
    with forked("--port", "0", env=environment(**settings), log=log) as service:
        yield service


def test_serve_with_known_keys_starts_while_no_host_can_be_resolved(
    tmp_path: Path,
) -> None:
    (tmp_path / "data").mkdir()
    key = {"hash": "00" * 32, "source": "crm", "scope": "write"}
    (tmp_path / "data" / "keys.json").write_text(json.dumps({"keys": [key]}))
    with started(tmp_path, database_url=NOWHERE) as service:
        answer = httpx.get(f"{service.address}/readyz", timeout=60).json()
    assert answer["events"] == "buffered"
    assert answer["reason"] == "host name cannot be resolved"
    assert "host name cannot be resolved" in service.log.read_text()


def test_serve_ends_only_where_every_host_refuses(
    migrated: Cluster, tmp_path: Path
) -> None:
    place = str(migrated.socket_dir)
    both = url_of(migrated, password="guess", host=f"{place},{place}", port="5432")
    assert refusal(tmp_path, both).count("password refused") == 2

    one = url_of(migrated, password="guess", host=f"{place},/nowhere", port="5432")
    with started(tmp_path, database_url=one) as service:
        assert httpx.get(f"{service.address}/readyz", timeout=60).status_code == 503


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"wokers": "2"},
            "ROLLCALL_WOKERS is not a setting: did you mean ROLLCALL_WORKERS?",
        ),
        (
            {"service_host": "10.0.0.1", "port": "tcp://10.0.0.1:80"},
            "ROLLCALL_SERVICE_HOST is not a setting: Kubernetes sets it",
        ),
        ({"database_url": ""}, "ROLLCALL_DATABASE_URL is empty: set it"),
        ({"embedded": "off"}, "ROLLCALL_EMBEDDED=off forbids"),
    ],
    ids=lambda settings: "-".join(settings) if isinstance(settings, dict) else "",
)
def test_serve_ends_where_the_environment_is_wrong(
    tmp_path: Path, settings: dict[str, str], sentence: str
) -> None:
    assert sentence in refused(tmp_path, **settings)


def change_password(cluster: Cluster, password: str) -> None:
    """Change it, and end the sessions that logged in with the old one."""
    sql(cluster, f"ALTER ROLE app PASSWORD '{password}'")
    sql(
        cluster,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'",
    )


def readyz(service: Service, **wanted: Any) -> dict[str, Any]:
    """Ask until the answer holds all that is wanted."""
    answer: dict[str, Any] = {}

    def ask() -> bool:
        try:
            response = httpx.get(f"{service.address}/readyz", timeout=60)
        except httpx.TransportError:  # the worker has just been killed
            return False
        answer.clear()
        answer.update(response.json(), status=response.status_code)
        return wanted.items() <= answer.items()

    try:
        until(ask, within_s=60, what="an answer")
    except AssertionError:
        assert answer == wanted
    return answer


@pytest.mark.parametrize("journal", ["on", "off"])
def test_password_changed_later_is_an_outage_with_that_reason(
    migrated: Cluster, tmp_path: Path, admin: Admin, journal: str
) -> None:
    settings = {"database_url": url_of(migrated), "journal": journal}
    with started(tmp_path, **settings) as service:
        if journal == "on":
            assert readyz(service, status=200)["reason"] == "no keys yet"
        key = Database(migrated.url(), admin).key(f"sender-{journal}")
        assert post(service, key, f"{journal}-1").json()["stored"] == 1
        snapshot = tmp_path / "data" / "keys.json"
        if journal == "on":
            until(
                lambda: snapshot.exists() and "hash" in snapshot.read_text(),
                within_s=60,
                what="the key in the snapshot",
            )
        change_password(migrated, "another")
        try:
            if journal == "on":
                post(service, key, f"{journal}-2")
                answer = readyz(service, status=200, reason="password refused")
                assert answer["since"].startswith("20")
            else:
                answer = readyz(service, status=503)
                assert re.search(r"since 20.*: password refused", answer["detail"])
            [worker] = service.workers()
            os.kill(worker, signal.SIGKILL)
            # Its successor starts in spite of the refusal.
            until(
                lambda: service.workers() not in ([], [worker]),
                within_s=60,
                what="another worker",
            )
            answer = readyz(service, status=200 if journal == "on" else 503)
            verdict = post(service, key, f"{journal}-3")
            assert (verdict.status_code == 200) is (answer["status"] == 200)
        finally:
            change_password(migrated, PASSWORD)
        assert readyz(service, status=200, events="stored")

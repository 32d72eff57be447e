"""Clients of the languages that backends are written in, each with its own "now".

curl, wget and Perl run in `make test`, the others in `make senders`. Absent
programs are skipped.
"""

import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.settings import child_environment
from tests.support.service.checker import disagreements
from tests.support.service.process import until
from tests.support.service.tenant import Tenant

CLIENTS = Path(__file__).with_name("senders") / "clients"
# Some write no fraction of a second.
TOLERANCE = timedelta(seconds=2)
in_make_senders = pytest.mark.senders
pytestmark = pytest.mark.timeout(600)


def run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def needs(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def check(tenant: Tenant, began: datetime, stdout: str) -> None:
    """Every "now" was read as now, and the responses say what the tables hold."""
    ended = datetime.now(UTC)
    responses = stdout.splitlines()
    rows = tenant.rows('SELECT "timestamp" FROM events WHERE source = :source')
    assert len(rows) == len(responses) > 2
    for (timestamp,) in rows:
        assert began - TOLERANCE <= timestamp <= ended + TOLERANCE
    assert disagreements(tenant, ((200, body) for body in responses)) == []


@pytest.mark.parametrize(
    ("program", "name"),
    [
        ("curl", "curl.sh"),
        ("wget", "wget.sh"),
        ("perl", "perl.pl"),
        pytest.param("php", "php.php", marks=in_make_senders),
        pytest.param("ruby", "ruby.rb", marks=in_make_senders),
    ],
)
def test_now_of_a_script_is_stored_as_now(
    tenant: Tenant, program: str, name: str
) -> None:
    needs(program)
    interpreter = "sh" if name.endswith(".sh") else program
    began = datetime.now(UTC)

    stdout = run(interpreter, CLIENTS / name, tenant.service.address, tenant.key)

    check(tenant, began, stdout)


@in_make_senders
def test_now_of_go_is_stored_as_now(tenant: Tenant, tmp_path: Path) -> None:
    needs("go")
    program = tmp_path / "sender"
    run("go", "build", "-o", program, ".", cwd=CLIENTS / "go")
    began = datetime.now(UTC)

    stdout = run(program, tenant.service.address, tenant.key)

    check(tenant, began, stdout)


@in_make_senders
def test_now_of_java_is_stored_as_now(tenant: Tenant, tmp_path: Path) -> None:
    needs("java", "javac")
    run("javac", "-d", tmp_path, CLIENTS / "java" / "Send.java")
    began = datetime.now(UTC)

    stdout = run("java", "-cp", tmp_path, "Send", tenant.service.address, tenant.key)

    check(tenant, began, stdout)


def check_sdk(tenant: Tenant) -> None:
    """All twenty events of an SDK are stored, and its other call is not."""

    def stored() -> list[str]:
        rows = tenant.rows("SELECT user_id FROM signed_up WHERE source = :source")
        return sorted(row[0] for row in rows)

    users = sorted(f"user-{number}" for number in range(1, 21))
    until(lambda: stored() == users, within_s=60, what="stored")
    rejected = "SELECT errors FROM rejected_events WHERE source = :source"
    assert tenant.rows(rejected) == []


@in_make_senders
def test_segment_sdk_for_go_delivers(tenant: Tenant, tmp_path: Path) -> None:
    needs("go")
    for file in (CLIENTS / "segment-go").iterdir():
        shutil.copy(file, tmp_path)
    run("go", "mod", "tidy", cwd=tmp_path)
    run("go", "build", "-o", "sender", ".", cwd=tmp_path)

    run(tmp_path / "sender", tenant.service.address, tenant.key)

    check_sdk(tenant)


@in_make_senders
def test_segment_sdk_for_java_delivers(tenant: Tenant, tmp_path: Path) -> None:
    needs("java", "javac", "mvn")
    shutil.copy(CLIENTS / "segment-java" / "pom.xml", tmp_path)
    goal = "dependency:copy-dependencies"
    run("mvn", "-q", "-B", goal, "-DoutputDirectory=libraries", cwd=tmp_path)
    classes = f"{tmp_path}{os.pathsep}{tmp_path / 'libraries'}/*"
    source = CLIENTS / "segment-java" / "Send.java"
    run("javac", "-cp", classes, "-d", tmp_path, source)

    run("java", "-cp", classes, "Send", tenant.service.address, tenant.key)

    check_sdk(tenant)

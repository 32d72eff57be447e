"""The embedded default: the service of `make run`, and the lines it prints."""

import hashlib
import json
import os
import pty
import shlex
import stat
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest

from tests.support.postgres.embedded import reachable_directory, wait_until_gone
from tests.support.service.process import (
    ROLLCALL,
    Service,
    environment,
    forked,
    rollcall,
)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with reachable_directory() as directory:
        yield directory / "data"


@pytest.fixture
def env(data_dir: Path) -> dict[str, str]:
    return environment(data_dir=str(data_dir))


def serve(
    env: dict[str, str], tmp_path: Path, *arguments: str
) -> AbstractContextManager[Service]:
    return forked(
        *("--port", "0", *arguments),
        env=env,
        log=tmp_path / "log.jsonl",
        introduced=True,
    )


def shell(line: str, env: dict[str, str]) -> str:
    """The output of a line that is pasted into a shell."""
    done = subprocess.run(  # noqa: S602 - the line is made for a shell
        line, shell=True, env=env, capture_output=True, text=True, check=True
    )
    return done.stdout


def signs_in_once(link: str) -> None:
    """Opening the link uses nothing up; its button does."""
    code = parse_qs(urlsplit(link).query)["code"][0]
    pressed = {"code": code, "next": "/v1/events"}
    for location in ("/v1/events", None):
        with httpx.Client(base_url=link, timeout=60) as browser:
            for _ in range(2):
                assert code in browser.get(link).text
            answer = browser.post(urljoin(link, "/sign-in"), data=pressed)
            assert answer.headers.get("location") == location
            events = browser.get(urljoin(link, "/v1/events"))
            assert events.status_code == (200 if location else 401)


def test_quick_start_commands_work_after_a_restart(
    env: dict[str, str], data_dir: Path, tmp_path: Path
) -> None:
    key_file = data_dir / "quickstart.key"
    read_key_file = data_dir / "quickstart-read.key"
    with serve(env, tmp_path) as service:
        said, curl, _, psql, _, link = service.introduction
        assert said == "Send an event:\n"
        answer: dict[str, Any] = json.loads(shell(curl, env))
        assert (answer["success"], answer["stored"]) == (True, 1)
        elsewhere = environment(data_dir="/nonexistent")
        assert "john.doe@example.com" in shell(psql, elsewhere)
        assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
        assert stat.S_IMODE(read_key_file.stat().st_mode) == 0o600
        key = key_file.read_text().strip()
        read_key = read_key_file.read_text().strip()
        # This output is no terminal, so it gets the paths of the secrets.
        assert f"Authorization: Bearer $(cat {key_file})" in shlex.split(curl)
        link_file = Path(link.split()[-1])
        assert link_file.parent == data_dir
        assert stat.S_IMODE(link_file.stat().st_mode) == 0o600
        signs_in_once(link_file.read_text().strip())
        secrets = (key, read_key, urlsplit(link_file.read_text()).query.strip())
        said = "".join(service.introduction) + service.log.read_text()
        assert not [secret for secret in secrets if secret in said]
        assert "setup plugin" not in said
        assert service.stop() == 0
    wait_until_gone(data_dir)

    with serve(env, tmp_path) as service:
        _, curl, *_ = service.introduction
        assert key_file.read_text().strip() == key
        assert json.loads(shell(curl, env))["stored"] == 1
        assert json.loads(shell(curl, env))["duplicates"] == 1
        assert read_key_file.read_text().strip() == read_key
        for revoked in (key, read_key):
            id_ = hashlib.sha256(revoked.encode()).hexdigest()[:12]
            assert rollcall("keys", "revoke", id_, env=env).returncode == 0

    with serve(env, tmp_path, "--workers", "2") as service:
        _, curl, *_ = service.introduction
        assert key_file.read_text().strip() != key
        assert read_key_file.read_text().strip() != read_key
        assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
        assert json.loads(shell(curl, env))["stored"] == 1
        assert json.loads(shell(curl, env))["duplicates"] == 1


def test_commands_work_without_a_running_service(
    env: dict[str, str], data_dir: Path
) -> None:
    made = rollcall("keys", "create", "--source", "crm", env=env)
    asked = rollcall("psql", "-AtXc", "SELECT source FROM write_keys", env=env)

    assert made.stdout.startswith("rc_")
    assert made.stdout.count("\n") == 1
    assert asked.stdout == "crm\n"
    assert f"embedded, data directory {data_dir}" in asked.stderr
    wait_until_gone(data_dir)


def test_terminal_gets_the_key_and_the_link(
    env: dict[str, str], data_dir: Path
) -> None:
    own, theirs = pty.openpty()
    with subprocess.Popen(
        [ROLLCALL, "serve", "--port", "0"], env=env, stdout=theirs
    ) as process:
        os.close(theirs)
        with os.fdopen(own) as terminal:
            said = [terminal.readline() for _ in range(7)]
            process.terminate()
    key = (data_dir / "quickstart.key").read_text().strip()
    assert f"Authorization: Bearer {key}" in said[2]
    assert said[6].strip() == (data_dir / "sign-in-link").read_text().strip()


@pytest.mark.parametrize(
    "command",
    [
        ("keys", "list"),
        ("psql", "-c", "SELECT 1"),
        ("export",),
        ("rejected", "list"),
        ("journal", "status"),
    ],
)
def test_reading_command_creates_no_database(
    env: dict[str, str], data_dir: Path, command: tuple[str, ...]
) -> None:
    done = rollcall(*command, env=env)
    assert str(data_dir) in done.stdout + done.stderr
    assert done.returncode == (command[0] != "journal")
    assert not data_dir.exists()

"""The embedded default: what `make run` starts, and what a newcomer pastes."""

import json
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

from tests.support.embedded_users import reachable_directory, wait_until_gone
from tests.support.service import Service, environment, rollcall, serving


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
    return serving(
        *("--port", "0", *arguments),
        env=env,
        log=tmp_path / "log.jsonl",
        introduced=True,
    )


def shell(line: str, env: dict[str, str]) -> str:
    """What a line prints when it is pasted into a shell."""
    done = subprocess.run(  # noqa: S602 - this is what the line is for
        line, shell=True, env=env, capture_output=True, text=True, check=True
    )
    return done.stdout


def signs_in_once(link: str) -> None:
    """Opening the link uses nothing up; its button does."""
    code = parse_qs(urlsplit(link).query)["code"][0]
    pressed = {"code": code, "next": "/v1/events"}
    for location in ("/v1/events", None):
        with httpx.Client(base_url=link) as browser:
            for _ in range(2):
                assert code in browser.get(link).text
            answer = browser.post(urljoin(link, "/sign-in"), data=pressed)
            assert answer.headers.get("location") == location
            events = browser.get(urljoin(link, "/v1/events"))
            assert events.status_code == (200 if location else 401)


def test_what_a_newcomer_pastes_works_and_stays(
    env: dict[str, str], data_dir: Path, tmp_path: Path
) -> None:
    key_file = data_dir / "quickstart.key"
    read_key_file = data_dir / "quickstart-read.key"
    with serve(env, tmp_path) as service:
        said, curl, _, psql, _, link = service.introduction
        assert said == "Send an event:\n"
        answer: dict[str, Any] = json.loads(shell(curl, env))
        assert (answer["success"], answer["stored"]) == (True, 1)
        assert "john.doe@example.com" in shell(psql, env)
        assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
        assert stat.S_IMODE(read_key_file.stat().st_mode) == 0o600
        key = key_file.read_text().strip()
        read_key = read_key_file.read_text().strip()
        assert f"Authorization: Bearer {key}" in shlex.split(curl)
        signs_in_once(link.strip())
        assert service.stop() == 0
    wait_until_gone(data_dir)

    with serve(env, tmp_path) as service:
        _, curl, *_ = service.introduction
        assert key_file.read_text().strip() == key
        assert json.loads(shell(curl, env))["duplicates"] == 1
        assert read_key_file.read_text().strip() == read_key
        for revoked in (key, read_key):
            assert rollcall("keys", "revoke", revoked, env=env).returncode == 0

    with serve(env, tmp_path, "--workers", "2") as service:
        _, curl, *_ = service.introduction
        assert key_file.read_text().strip() != key
        assert read_key_file.read_text().strip() != read_key
        assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
        assert json.loads(shell(curl, env))["duplicates"] == 1


def test_the_commands_need_no_service(env: dict[str, str], data_dir: Path) -> None:
    made = rollcall("keys", "create", "--source", "crm", env=env)
    asked = rollcall("psql", "-AtXc", "SELECT source FROM write_keys", env=env)

    assert made.stdout.startswith("rc_")
    assert made.stdout.count("\n") == 1
    assert (asked.stdout, asked.stderr) == ("crm\n", "")
    wait_until_gone(data_dir)

"""The command line itself: help, version, completion, and its start."""

import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from app.cli import COMMANDS, build_commands
from tests.support.service.process import ROLLCALL, environment, rollcall

_IMPORTED = """
import sys
from app.cli import main
try:
    main()
except SystemExit as leaving:
    print(leaving.code or 0, *sorted(sys.modules))
"""
HEAVY = {"sqlalchemy", "fastapi", "pydantic", "alembic", "uvicorn", "orjson"}


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROLLCALL, *arguments],
        env=environment() | env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("arguments", [["--version"], ["serv"], ["keys", "revoke"]])
def test_forked_command_does_as_the_program(arguments: list[str]) -> None:
    program, forked = run(*arguments), rollcall(*arguments, env=environment())
    assert (forked.stdout, forked.stderr) == (program.stdout, program.stderr)
    assert forked.returncode == program.returncode


def test_version_option_prints_the_version() -> None:
    done = run("--version")
    assert (done.stdout, done.returncode) == (f"rollcall {version('rollcall')}\n", 0)


def test_short_help_option_is_the_help_of_every_command() -> None:
    short, long = run("-h"), run("--help")
    assert short.stdout == long.stdout
    assert all(f" {name} " in short.stdout for name in COMMANDS)
    assert CliRunner().invoke(build_commands("keys"), ["keys", "-h"]).exit_code == 0


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["-h"], []])
def test_help_imports_no_command(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTED, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    status, *modules = done.stdout.splitlines()[-1].split()
    assert status in {"0", "2"}
    assert not HEAVY & {*modules}


def test_worker_imports_no_migration_tool() -> None:
    imported = "import sys, app.serving.worker; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", imported], capture_output=True, text=True, check=True
    )
    assert not {"alembic", "mako", "pygments"} & {*done.stdout.split()}


def test_help_shows_words_in_brackets() -> None:
    done = CliRunner().invoke(build_commands("erase"), ["erase", "--help"])
    assert "[erased]" in done.stdout


def test_unknown_command_is_named() -> None:
    done = run("serv")
    assert done.returncode == 2
    assert "No such command 'serv'" in done.stderr


@pytest.mark.parametrize(
    ("words", "expected"), [("rollcall ke", "keys"), ("rollcall keys cr", "create")]
)
def test_completion_knows_commands_and_their_commands(
    words: str, expected: str
) -> None:
    done = run(
        _ROLLCALL_COMPLETE="complete_bash",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split()) - 1),
    )
    assert done.stdout.split() == [expected]

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import Settings, child_environment
from tests.conftest import ROOT
from tests.support.docs.markdown import read
from tests.support.service.process import environment, serving, until

DOCKERFILE = re.sub(r"\\\n\s*", "", read("Dockerfile"))
IGNORED = re.findall(r"^[^#\s].*$", read(".dockerignore"), re.MULTILINE)
COMPOSE: dict[str, Any] = yaml.safe_load(read("compose.yaml"))


def run(*command: str | Path, **options: Any) -> str:
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, **options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as in the Dockerfile, only from the files that it copies."""
    source = tmp_path_factory.mktemp("source")
    builder, _ = stages()
    for copied in copies(builder):
        if (ROOT / copied).is_dir():
            shutil.copytree(ROOT / copied, source / copied)
        else:
            shutil.copy(ROOT / copied, source / copied)
    dist = tmp_path_factory.mktemp("dist")
    run(
        *(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"),
        *("--wheel-dir", dist, "."),
        cwd=source,
    )
    [built] = dist.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command in an environment of its own, which borrows its dependencies."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    [site] = venv.glob("lib/python3*/site-packages")
    run(
        *(sys.executable, "-m", "pip", "--python", venv / "bin" / "python", "install"),
        *("--no-deps", "--no-index", wheel),
    )
    borrowed = sysconfig.get_path("purelib")
    # Without the .pth files there, one of which leads to the checkout.
    (site / "borrowed.pth").write_text(f"{borrowed}\n")
    return venv / "bin" / "rollcall"


def stages() -> list[list[str]]:
    """The instructions of each stage."""
    lines = [
        line
        for line in DOCKERFILE.splitlines()
        if line.strip() and not line.startswith("#")
    ]
    starts = [at for at, line in enumerate(lines) if line.startswith("FROM ")]
    ends = [*starts[1:], len(lines)]
    return [lines[start:end] for start, end in zip(starts, ends, strict=True)]


def copies(stage: list[str]) -> list[str]:
    """The paths that a stage copies from the checkout."""
    return [
        source
        for line in stage
        if line.startswith("COPY ") and "--from=" not in line
        for source in line.split()[1:-1]
    ]


def instruction(name: str) -> str:
    """The last one of its name in the final stage: the one that counts."""
    [*_, last] = [line for line in stages()[-1] if line.startswith(f"{name} ")]
    return last.removeprefix(f"{name} ")


def is_ignored(path: str) -> bool:
    """As Docker reads .dockerignore: the last pattern that matches decides."""
    ignored = False
    for line in IGNORED:
        pattern = line.removeprefix("!")
        tail = pattern.removeprefix("**/")
        parts = path.split("/")
        ancestors = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        names = parts if tail != pattern else ancestors
        if any(fnmatch(name, tail) for name in names):
            ignored = not line.startswith("!")
    return ignored


def test_wheel_holds_every_file_of_the_code_and_the_schema(wheel: Path) -> None:
    ours = {
        path.relative_to(ROOT).as_posix()
        for package in ("app", "migrations")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        packed = {n for n in archive.namelist() if ".dist-info/" not in n}

    assert packed == ours
    assert any(name.endswith(".sql") for name in packed)


def test_installed_wheel_works_outside_the_checkout(
    installed: Path, empty_database_url: str, tmp_path: Path
) -> None:
    env = environment(database_url=empty_database_url)
    python = installed.with_name("python")
    where = run(python, "-c", "import app; print(app.__file__)", cwd=tmp_path, env=env)
    assert Path(where).is_relative_to(installed.parents[1])

    run(installed, "migrate", cwd=tmp_path, env=env)
    key = run(installed, "keys", "create", "--source", "ci", cwd=tmp_path, env=env)
    assert key.startswith("rc_")
    assert "ci" in run(installed, "keys", "list", cwd=tmp_path, env=env)


def test_builder_copies_existing_files_that_are_not_ignored() -> None:
    builder, final = stages()
    assert copies(final) == []
    for source in copies(builder):
        path = ROOT / source
        assert path.exists(), source
        inner = path.rglob("*") if path.is_dir() else [path]
        for file in inner:
            name = file.relative_to(ROOT).as_posix()
            assert is_ignored(name) == ("__pycache__" in name), name


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".venv/bin/python",
        ".rollcall/quickstart.key",
        ".env",
        "app/api/__pycache__/track.cpython-313.pyc",
    ],
)
def test_image_contains_no_other_files(path: str) -> None:
    assert is_ignored(path)


def test_everything_installed_is_locked() -> None:
    installs = re.findall(r"pip (?:--python \S+ )?install ([^&\n]*)", DOCKERFILE)
    assert len(installs) == 3
    for arguments in installs:
        assert "--require-hashes" in arguments or "--no-deps --no-index" in arguments


def test_image_has_no_build_tools_and_no_root() -> None:
    final = stages()[-1]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", instruction("USER"))
    after_user = final[final.index(f"USER {instruction('USER')}") :]
    assert not any(line.startswith(("RUN", "COPY", "USER 0")) for line in after_user)
    tools = re.compile(r"\b(apt|apt-get|gcc|make|pip|curl|wget)\b")
    assert not any(tools.search(line) for line in final if line.startswith("RUN"))
    assert final[0].split()[1] == stages()[0][0].split()[1]


def test_image_listens_on_all_interfaces_and_stops_gracefully() -> None:
    variables = dict(re.findall(r"(ROLLCALL_\w+)=(\S+)", instruction("ENV")))
    settings = {
        name.removeprefix("ROLLCALL_").lower(): value
        for name, value in variables.items()
    }
    assert settings.keys() <= Settings.model_fields.keys()
    assert settings["host"] == "0.0.0.0"  # noqa: S104 - in a container
    assert settings["port"] == instruction("EXPOSE")
    assert instruction("STOPSIGNAL") == "SIGTERM"
    assert json.loads(instruction("ENTRYPOINT")) == ["rollcall"]
    assert json.loads(instruction("CMD")) == ["serve"]


def test_health_check_distinguishes_alive_from_dead(
    database_url: str, tmp_path: Path
) -> None:
    _, _, command = instruction("HEALTHCHECK").partition(" CMD ")
    python, *arguments = json.loads(command)
    assert python == "python"

    def is_healthy(port: int) -> bool:
        # A proxy, which Docker hands on, must not be asked.
        proxy = {"http_proxy": "http://127.0.0.1:9", "ROLLCALL_PORT": str(port)}
        done = subprocess.run(
            [sys.executable, *arguments],
            env=child_environment(**proxy),
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    env = environment(database_url=database_url)
    with serving("--port", "0", env=env, log=tmp_path / "log") as service:
        _, port = service.endpoint
        # The worker is still starting when the parent prints the address.
        until(lambda: is_healthy(port), within_s=60, what="the service is healthy")
    assert not is_healthy(port)


def test_compose_migrates_before_it_serves() -> None:
    services = COMPOSE["services"]
    assert services["migrate"]["command"] == ["migrate"]
    assert services["migrate"]["depends_on"]["postgres"] == {
        "condition": "service_healthy"
    }
    assert services["rollcall"]["depends_on"]["migrate"] == {
        "condition": "service_completed_successfully"
    }
    assert "command" not in services["rollcall"]


def test_compose_keeps_the_data_and_asks_for_a_password() -> None:
    postgres = COMPOSE["services"]["postgres"]
    [volume] = postgres["volumes"]
    assert volume.partition(":")[0] in COMPOSE["volumes"]
    assert postgres["healthcheck"]["test"]
    passwords = re.findall(r"PASSWORD: (.*)", read("compose.yaml"))
    assert len(passwords) == 2
    assert all(value.startswith("${POSTGRES_PASSWORD:?") for value in passwords)


def test_compose_keeps_the_journal_in_a_volume() -> None:
    service = COMPOSE["services"]["rollcall"]
    [volume] = service["volumes"]
    name, _, place = volume.partition(":")
    assert name in COMPOSE["volumes"]
    assert f"ROLLCALL_DATA_DIR={place}" in instruction("ENV").split()
    # All else can be written by nobody.
    assert service["read_only"]


def test_compose_names_settings_that_exist() -> None:
    for service in ("migrate", "rollcall"):
        environment_ = COMPOSE["services"][service]["environment"]
        names = {name for name in environment_ if name.startswith("ROLLCALL_")}
        known = {f"ROLLCALL_{name.upper()}" for name in Settings.model_fields}
        assert names
        assert names <= known


@pytest.fixture
def ci(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """What the build machine runs, where programs of these names say these lines."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    # The machine's own programs, but for those that would install a browser.
    programs = tmp_path / "bin"
    programs.mkdir()
    theirs = "bash dirname echo false grep make mktemp rm sh tail tee true"
    for name in theirs.split():
        (programs / name).symlink_to(str(shutil.which(name)))

    def run_it(**lines: str) -> subprocess.CompletedProcess[str]:
        for name, line in lines.items():
            program = programs / name.replace("_", "-")
            program.write_text(f"#!/bin/sh\n{line}\n")
            program.chmod(0o755)
        return subprocess.run(
            [tmp_path / ".ci" / "run"],
            env=child_environment(CI="", PATH=str(programs)),
            cwd="/",
            input="a terminal's line\n",
            capture_output=True,
            text=True,
            check=False,
        )

    return run_it


@pytest.mark.parametrize(("target", "status"), [("true", 0), ("false", 2)])
def test_build_machine_ends_with_the_summary_of_pytest(
    ci: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    target: str,
    status: int,
) -> None:
    (tmp_path / "Makefile").write_text(
        "test:\n"
        "\t@echo '==== 3 passed, 1 skipped in 12.34s (0:00:12) ===='\n"
        f"\t@echo TOTAL 98% $$CI; ! read line && {target}\n"
    )
    done = ci(chromium="")

    assert done.returncode == status, done.stderr
    assert "TOTAL 98% true" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("==== 3 passed")


@pytest.mark.parametrize(
    ("user", "apt", "tried"), [(0, "true", 2), (0, "exit 1", 1), (1000, "true", 0)]
)
def test_build_machine_installs_a_browser_if_permitted(
    ci: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    user: int,
    apt: str,
    tried: int,
) -> None:
    (tmp_path / "Makefile").write_text("test:\n\t@true\n")
    calls = tmp_path / "calls"
    calls.touch()
    done = ci(
        id=f"echo {user}",
        timeout='shift; exec "$@"',
        apt_get=f'echo "$@" >> {calls}; echo noise; {apt}',
    )

    assert done.returncode == 0, done.stderr
    assert len(calls.read_text().splitlines()) == tried
    assert ("cannot be installed" in done.stdout) == (apt != "true")
    assert "noise" not in done.stdout + done.stderr

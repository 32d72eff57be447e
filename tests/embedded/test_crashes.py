"""The embedded Postgres when one side is killed, and when pids lie."""

import os
import queue
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from app.embedded import running
from app.embedded.service_user import user_for
from app.files import exclusive_lock
from tests.support.postgres.embedded import (
    SMALL,
    crash,
    postmaster,
    reachable_directory,
    said_ready,
    sql,
    user_process,
    wait_until_gone,
)

PID_OF_SOCKET = "socket/.s.PGSQL.5432.lock"


@pytest.fixture
def far_away(state_dir: Path) -> Iterator[Path]:
    """The same, at a path that is too long for a socket."""
    place = state_dir.rename(state_dir.with_name("long" * 25))
    yield place
    place.rename(state_dir)


def test_server_of_a_killed_user_is_attached_to(state_dir: Path) -> None:
    with user_process(state_dir) as user:
        said_ready(user)
        user.kill()
        user.wait()
    pid = postmaster(state_dir)
    with running(state_dir) as cluster:
        assert postmaster(state_dir) == pid
        assert sql(cluster, "SELECT 1") == "1"
    wait_until_gone(state_dir)


def test_killed_server_recovers_committed_rows(state_dir: Path) -> None:
    crash(state_dir, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    with running(state_dir, settings=SMALL) as cluster:
        assert sql(cluster, "SELECT count(*) FROM kept") == "1000"


def test_server_killed_in_use_comes_back_under_the_same_url(far_away: Path) -> None:
    ended = threading.Event()

    def announce(sentence: str) -> None:
        if "ended" in sentence:
            ended.set()

    with running(far_away, settings=SMALL, announce=announce) as cluster:
        socket_dir = cluster.socket_dir
        sql(cluster, "CREATE TABLE used AS SELECT 7 AS n")
        killed = postmaster(far_away)
        os.kill(killed, signal.SIGKILL)
        assert ended.wait(60)
        with exclusive_lock(far_away / "start.lock"):  # held until it answers
            assert postmaster(far_away) != killed
        assert sql(cluster, "SELECT n FROM used") == "7"
    assert not socket_dir.exists()


def test_leaving_a_server_that_was_killed_is_no_error(far_away: Path) -> None:
    with running(far_away, settings=SMALL) as cluster:
        socket_dir = cluster.socket_dir
        os.kill(postmaster(far_away), signal.SIGKILL)
    wait_until_gone(far_away)
    assert not socket_dir.exists()


def test_server_that_cannot_restart_is_reported_and_retried(
    state_dir: Path,
) -> None:
    version = state_dir / "postgres" / "PG_VERSION"
    ours = version.read_text()
    said: queue.Queue[str] = queue.Queue()
    with running(state_dir, settings=SMALL, announce=said.put):
        version.write_text("14\n")
        os.kill(postmaster(state_dir), signal.SIGKILL)
        assert "ended" in said.get(timeout=60)
        assert "made by Postgres 14" in said.get(timeout=60)
        version.write_text(ours)
        with exclusive_lock(state_dir / "start.lock"):
            pass


@pytest.mark.timeout(30)
def test_leaving_while_a_backend_crash_is_recovered_does_not_hang(
    state_dir: Path,
) -> None:
    with (
        running(state_dir, settings=SMALL) as cluster,
        pytest.raises(AssertionError, match="connection"),
    ):
        sql(cluster, "COPY (SELECT 1) TO PROGRAM 'kill -9 $PPID'")
    wait_until_gone(state_dir)
    with running(state_dir, settings=SMALL) as cluster:
        assert sql(cluster, "SELECT 1") == "1"


@contextmanager
def sleeper(state_dir: Path) -> Iterator[int]:
    """A process of the server's user that is no Postgres."""
    account = user_for(state_dir / "postgres")
    with subprocess.Popen(
        ["/bin/sleep", "60"], user=account.uid, group=account.gid
    ) as process:
        yield process.pid
        process.kill()


@contextmanager
def zombie(state_dir: Path) -> Iterator[int]:
    """A process of the server's user that has ended, and that nobody reaped."""
    with sleeper(state_dir) as pid:
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        yield pid


@pytest.mark.parametrize("impostor", [sleeper, zombie])
@pytest.mark.parametrize("file", ["postgres/postmaster.pid", PID_OF_SOCKET])
def test_pid_of_another_process_is_ignored(
    state_dir: Path, impostor: Callable[[Path], AbstractContextManager[int]], file: str
) -> None:
    crash(state_dir, "SELECT 1")
    _, _, rest = (state_dir / file).read_text().partition("\n")
    with impostor(state_dir) as pid:
        (state_dir / file).write_text(f"{pid}\n{rest}")
        with running(state_dir, settings=SMALL) as cluster:
            assert sql(cluster, "SELECT 1") == "1"
            assert postmaster(state_dir) != pid
        os.kill(pid, 0)  # and it was left alone


def test_interrupted_initdb_is_repeated() -> None:
    with reachable_directory() as directory:
        unfinished = directory / "postgres.new"
        unfinished.mkdir()
        (unfinished / "PG_VERSION").write_text("18\n")
        with running(directory, settings=SMALL) as cluster:
            assert sql(cluster, "SELECT 1") == "1"
        assert not unfinished.exists()


def test_socket_directory_is_used_again_only_if_it_is_private(
    far_away: Path,
) -> None:
    crash(far_away, "SELECT 1")
    left = (far_away / "socket").resolve()
    with running(far_away, settings=SMALL) as cluster:
        assert cluster.socket_dir == left
    assert not left.exists()
    crash(far_away, "SELECT 1")
    left = (far_away / "socket").resolve()
    left.chmod(0o777)
    with running(far_away, settings=SMALL) as cluster:
        assert cluster.socket_dir != left
    shutil.rmtree(left)


def test_deleted_socket_directory_is_created_again(far_away: Path) -> None:
    crash(far_away, "SELECT 1")
    shutil.rmtree((far_away / "socket").resolve())
    with running(far_away, settings=SMALL) as cluster:
        assert sql(cluster, "SELECT 1") == "1"


def test_state_directory_may_move_after_a_crash(state_dir: Path) -> None:
    far_away = state_dir.rename(state_dir.with_name("long" * 25))
    crash(far_away, "SELECT 1")
    left = (far_away / "socket").resolve()
    far_away.rename(state_dir)
    with running(state_dir, settings=SMALL) as cluster:
        assert cluster.socket_dir == state_dir / "socket"
    shutil.rmtree(left)

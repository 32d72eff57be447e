"""Start, find and stop the server of one state directory.

The server's processes inherit a lock, so the kernel knows whether it runs. The pid
in `postmaster.pid` is not trusted: after a crash it may belong to a zombie, and in
containers it soon belongs to another process.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from subprocess import CompletedProcess

from app.embedded.binaries import reachable_binaries
from app.embedded.cluster import DATABASE, PORT, SUPERUSER, Cluster
from app.embedded.creation import ensure_cluster, server_settings
from app.embedded.service_user import ServiceUser, warning_about
from app.errors import EmbeddedPostgresError
from app.files import try_lock

START_SECONDS = 600.0
FAST_STOP_SECONDS = 60.0
STOP_SECONDS = 120.0
ANNOUNCE_SECONDS = 2.0
LOG_BYTES = 8 * 1024 * 1024
LOG_LINES = 6


def is_running(cluster: Cluster) -> bool:
    """Whether any process of the server exists, including one that is starting."""
    with try_lock(cluster.server_lock) as lock:
        return lock is None


def ensure_running(
    cluster: Cluster, *, sleep: Callable[[float], bool | None] = time.sleep
) -> None:
    """Return when the server answers and has the database; start it if necessary.

    The caller holds the start lock. A server in recovery is waited for; one that
    ends before it answers is not started twice. The caller may give up in a pause:
    then `sleep` returns True.

    Raises:
        EmbeddedPostgresError: the server ended, or did not answer in 600 s.
    """
    began = time.monotonic()
    log_from: int | None = None
    is_announced = False
    while True:
        with try_lock(cluster.server_lock) as lock:
            if lock is not None:
                if log_from is not None:
                    raise _start_error(cluster, log_from)
                log_from = _start(cluster, lock)
        answer = _probe(cluster)
        if answer.returncode == 0:
            return
        waited = time.monotonic() - began
        state = answer.stderr.partition("\n")[0].rpartition("failed: ")[2]
        if waited > START_SECONDS:
            raise EmbeddedPostgresError(
                f"Postgres in {cluster.data_dir} does not answer after {waited:.0f} s "
                f"({state}): see {cluster.log}."
            )
        if waited > ANNOUNCE_SECONDS and not is_announced:
            cluster.announce(f"Waiting for Postgres in {cluster.data_dir}: {state}")
            is_announced = True
        if sleep(_pause(waited)):
            return


def stop(cluster: Cluster) -> None:
    """Stop the server: fast, or immediately if it does not answer.

    Postgres 18 hangs in a fast shutdown that reaches it while it recovers from the
    crash of one of its processes. An immediate shutdown loses nothing: the next
    start recovers. The caller holds the start lock. A server in another container is
    left alone.
    """
    began = time.monotonic()
    answers = _psql(cluster, "SELECT 1").returncode == 0
    sent: signal.Signals | None = None
    while is_running(cluster):
        waited = time.monotonic() - began
        fast = answers and waited < FAST_STOP_SECONDS
        wanted = signal.SIGINT if fast else signal.SIGQUIT
        pid = None if sent is wanted else cluster.listening_pid()
        if pid == 0:
            return
        if pid is not None:
            os.kill(pid, wanted)
            sent = wanted
        if waited > STOP_SECONDS:
            raise EmbeddedPostgresError(
                f"Postgres in {cluster.data_dir} has not stopped after {waited:.0f} s: "
                f"see {cluster.log}."
            )
        time.sleep(_pause(waited))  # nothing reports the end of another's child
    cluster.remove_socket_dir()


def _pause(waited: float) -> float:
    """Return the time between two checks: short at first, then up to 0.5 s."""
    return min(max(waited / 20, 0.005), 0.5)


def _probe(cluster: Cluster) -> CompletedProcess[str]:
    """Run a query; on success the database exists from then on."""
    answer = _psql(cluster, "SELECT datname FROM pg_database")
    if answer.returncode == 0 and DATABASE not in answer.stdout.splitlines():
        answer = _psql(cluster, f"CREATE DATABASE {DATABASE}")
    return answer


def _psql(cluster: Cluster, statement: str) -> CompletedProcess[str]:
    """Run a statement in the database `postgres`, which always exists."""
    return ServiceUser().run(
        cluster.bin_dir / "psql", "-XAtq",
        "-h", cluster.socket_dir, "-p", str(PORT),
        "-U", SUPERUSER, "-d", "postgres", "-c", statement,
        environment={"PGCONNECT_TIMEOUT": "10"},
    )  # fmt: skip


def _start(cluster: Cluster, lock: int) -> int:
    """Start the server in the background; return the size of its log before that."""
    bin_dir = reachable_binaries(cluster)
    ensure_cluster(cluster, bin_dir)
    if warning := warning_about(cluster.user, cluster.data_dir):
        cluster.announce(warning)
    cluster.make_socket_dir()
    settings = {
        **server_settings(cluster.settings),
        "listen_addresses": "",
        "unix_socket_directories": str(cluster.socket_dir),
        "unix_socket_permissions": "0700",
        "port": str(PORT),
    }
    options = [f"--{name}={value}" for name, value in settings.items()]
    if cluster.log.exists() and cluster.log.stat().st_size > LOG_BYTES:
        cluster.log.replace(cluster.log.with_suffix(".log.1"))
    cluster.log.touch(0o600)
    log_from = cluster.log.stat().st_size
    with (
        cluster.log.open("a") as log,
        cluster.user.path_to(cluster.data_dir) as (path, descriptors),
    ):
        # The shell exits at once, so that init becomes the server's parent (pg_ctl
        # starts it in the same way). The server inherits the lock. It ignores a
        # postmaster.pid that names PG_GRANDPARENT_PID, as Patroni makes it do.
        cluster.user.run(
            "/bin/sh", "-c", '"$@" &', "sh",
            bin_dir / "postgres", "-D", path, *options,
            output=log.fileno(),
            pass_fds=(lock, *descriptors),
            environment={"PG_GRANDPARENT_PID": _stale_pid(cluster)},
        )  # fmt: skip
    return log_from


def _stale_pid(cluster: Cluster) -> str:
    """Return the pid in `postmaster.pid`: no server runs, because we hold its lock."""
    with suppress(FileNotFoundError):
        text = (cluster.data_dir / "postmaster.pid").read_text()
        return text.partition("\n")[0].lstrip("-")
    return "0"


def _start_error(cluster: Cluster, log_from: int) -> EmbeddedPostgresError:
    with cluster.log.open("rb") as log:
        log.seek(log_from)
        lines = log.read().decode(errors="replace").splitlines()
    # These lines only say that clients had to wait.
    lines = [line for line in lines if "the database system is" not in line]
    grave = [line for line in lines if "FATAL:" in line or "PANIC:" in line]
    tail = "\n".join((grave or lines)[-LOG_LINES:]) or "(nothing: it was killed)"
    return EmbeddedPostgresError(
        f"Postgres could not start in {cluster.data_dir}. It says:\n{tail}\n"
        f"({cluster.log} holds the rest.)"
    )

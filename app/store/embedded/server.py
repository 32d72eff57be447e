"""Start, find and stop the server of one state directory.

The server's processes inherit a lock, so "does it live" is a question to the
kernel. The pid in `postmaster.pid` is never believed: after a crash it may be a
zombie's, and in containers it is soon that of another process.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import EmbeddedPostgresError
from app.store.embedded.binaries import binaries_for
from app.store.embedded.creation import ensure_cluster
from app.store.embedded.locks import if_free
from app.store.embedded.site import DATABASE, PORT, SUPERUSER, Site
from app.store.embedded.sockets import (
    forget_socket_dir,
    listener,
    make_socket_dir,
    recorded_socket_dir,
)
from app.store.embedded.tuning import server_settings

START_SECONDS = 600.0
STOP_SECONDS = 120.0
POLL_SECONDS = 0.01
PATIENCE_SECONDS = 2.0
LOG_BYTES = 8 * 1024 * 1024
SAID_LINES = 6


def ensure(site: Site) -> Path:
    """Return the socket's directory once the server answers; start it if need be.

    Call it under the start lock. A server that dies before it answers is not
    started twice; one that recovers is waited for.

    Raises:
        EmbeddedPostgresError: the server ends, or does not answer in 600 s.
    """
    began = time.monotonic()
    said_from: int | None = None
    patient = False
    while time.monotonic() - began < START_SECONDS:
        with if_free(site.server_lock) as lock:
            if lock is not None:
                if said_from is not None:
                    raise _failed(site, said_from)
                said_from = _start(site, lock)
        socket_dir = recorded_socket_dir(site)
        if socket_dir is not None and _answers(site, socket_dir):
            return socket_dir
        if not patient and time.monotonic() - began > PATIENCE_SECONDS:
            site.announce("Postgres is starting; after a crash that can take minutes.")
            patient = True
        time.sleep(POLL_SECONDS)
    raise EmbeddedPostgresError(
        f"Postgres in {site.data_dir} does not answer after {START_SECONDS:.0f} s: "
        f"{site.log} tells what it does."
    )


def stop(site: Site) -> None:
    """End the server, if it lives, by a fast shutdown.

    Call it under the start lock. A server in another container is left alone.

    Raises:
        EmbeddedPostgresError: it still lives after 120 s.
    """
    deadline = time.monotonic() + STOP_SECONDS
    told = False
    socket_dir = recorded_socket_dir(site)
    while _lives(site):
        pid = listener(socket_dir) if socket_dir is not None and not told else None
        if pid == 0:
            return
        if pid is not None:
            os.kill(pid, signal.SIGINT)
            told = True
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(
                f"Postgres in {site.data_dir} has not stopped after "
                f"{STOP_SECONDS:.0f} s: {site.log} tells what it does."
            )
        time.sleep(POLL_SECONDS)
        socket_dir = recorded_socket_dir(site) or socket_dir
    if socket_dir is not None:
        forget_socket_dir(site, socket_dir)


def _lives(site: Site) -> bool:
    with if_free(site.server_lock) as lock:
        return lock is None


def _start(site: Site, lock: int) -> int:
    """Let the server go in the background; return where in the log it begins."""
    bin_dir = binaries_for(site.account, site.bin_dir, site.announce)
    ensure_cluster(site, bin_dir)
    settings = {
        **server_settings(site.settings),
        "listen_addresses": "",
        "unix_socket_directories": str(make_socket_dir(site)),
        "unix_socket_permissions": "0700",
        "port": str(PORT),
    }
    options = [
        word for name, value in settings.items() for word in ("-c", f"{name}={value}")
    ]
    with (
        _log_of(site) as log,
        site.account.path_to(site.data_dir) as (path, descriptors),
    ):
        said_from = os.fstat(log).st_size
        # The shell leaves at once, so that init and not we owns the server; its
        # processes hold the lock from here on.
        site.account.run(
            *("/bin/sh", "-c", '"$@" &', "sh"),
            *(str(bin_dir / "postgres"), "-D", path, *options),
            output=log,
            pass_fds=(lock, *descriptors),
            environment={"PG_GRANDPARENT_PID": _stale_pid(site)},
        )
        return said_from


@contextmanager
def _log_of(site: Site) -> Iterator[int]:
    """A descriptor that appends to the log, which is begun anew when it is long."""
    if site.log.exists() and site.log.stat().st_size > LOG_BYTES:
        site.log.replace(site.log.with_suffix(".log.1"))
    log = os.open(site.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        yield log
    finally:
        os.close(log)


def _stale_pid(site: Site) -> str:
    """The pid that Postgres shall take for its own, and so ignore.

    No server lives (we hold its lock), whatever process now has that number.
    """
    try:
        first = site.pid_file.read_text().partition("\n")[0]
    except FileNotFoundError:
        return "0"
    return first.lstrip("-")


def _answers(site: Site, socket_dir: Path) -> bool:
    """Whether SQL works; if it does, the database exists from then on."""
    known = f"SELECT count(*) FROM pg_database WHERE datname = '{DATABASE}'"  # noqa: S608
    answer = _psql(site, socket_dir, known)
    if answer == "0":
        answer = _psql(site, socket_dir, f"CREATE DATABASE {DATABASE}")
    return answer is not None


def _psql(site: Site, socket_dir: Path, statement: str) -> str | None:
    done = site.account.run(
        *(site.bin_dir / "psql", "-XAtq", "-h", socket_dir, "-p", str(PORT)),
        *("-U", SUPERUSER, "-d", "postgres", "-c", statement),
    )
    return done.stdout.strip() if done.returncode == 0 else None


def _failed(site: Site, said_from: int) -> EmbeddedPostgresError:
    with site.log.open("rb") as log:
        log.seek(said_from)
        said = log.read().decode(errors="replace").splitlines()
    grave = [line for line in said if "FATAL:" in line or "PANIC:" in line]
    words = "\n".join((grave or said)[-SAID_LINES:]) or "nothing"
    return EmbeddedPostgresError(
        f"Postgres could not start in {site.data_dir}. It says:\n{words}\n"
        f"({site.log} holds the rest.)"
    )

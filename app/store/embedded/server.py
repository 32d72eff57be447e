"""Start, find and stop the server of one state directory.

The server's processes inherit a lock, so "does it live" is a question to the
kernel. The pid in `postmaster.pid` is never believed: after a crash it may be a
zombie's, and in containers it is soon that of another process.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.errors import EmbeddedPostgresError
from app.store.embedded.binaries import binaries_for
from app.store.embedded.creation import ensure_cluster
from app.store.embedded.locks import if_free
from app.store.embedded.probe import ask, psql, reason
from app.store.embedded.site import PORT, Site
from app.store.embedded.sockets import forget_socket_dir, listener, make_socket_dir
from app.store.embedded.tuning import server_settings

START_SECONDS = 600.0
FAST_STOP_SECONDS = 60.0
STOP_SECONDS = 120.0
PATIENCE_SECONDS = 2.0
LOG_BYTES = 8 * 1024 * 1024
LOG_LINES = 6


def lives(site: Site) -> bool:
    """Whether any process of the server exists, one that only starts included."""
    with if_free(site.server_lock) as lock:
        return lock is None


def ensure(site: Site, *, sleep: Callable[[float], object] = time.sleep) -> None:
    """Return once the server answers and has the database; start it if need be.

    Call it under the start lock. A server that recovers is waited for; one that
    ends before it answers is not started twice.

    Raises:
        EmbeddedPostgresError: the server ends, or does not answer in 600 s.
    """
    began = time.monotonic()
    log_from: int | None = None
    announced = False
    waited = 0.0
    words = ""
    while waited < START_SECONDS:
        with if_free(site.server_lock) as lock:
            if lock is not None:
                if log_from is not None:
                    raise _ended(site, log_from)
                log_from = _start(site, lock)
                began = time.monotonic()
        answer = ask(site)
        if answer.returncode == 0:
            return
        words = reason(answer)
        if waited > PATIENCE_SECONDS and not announced:
            site.announce(f"Waiting for Postgres in {site.data_dir}: {words}")
            announced = True
        sleep(_pause(waited))
        waited = time.monotonic() - began
    raise EmbeddedPostgresError(
        f"Postgres in {site.data_dir} does not answer after {START_SECONDS:.0f} s "
        f"({words}): {site.log} tells what it does."
    )


def stop(site: Site) -> None:
    """End the server, if it lives: fast, or at once where it does not answer.

    Postgres 18 hangs for ever in a fast shutdown that reaches it while it recovers
    from the crash of one of its processes. An immediate shutdown harms nothing: the
    next start recovers. Call it under the start lock. A server in another container
    is left alone.

    Raises:
        EmbeddedPostgresError: it still lives after 120 s.
    """
    began = time.monotonic()
    answers = psql(site, "SELECT 1").returncode == 0
    sent: signal.Signals | None = None
    while lives(site):
        waited = time.monotonic() - began
        fast = answers and waited < FAST_STOP_SECONDS
        wanted = signal.SIGINT if fast else signal.SIGQUIT
        pid = None if sent is wanted else listener(site.socket.resolve())
        if pid == 0:
            return
        if pid is not None:
            os.kill(pid, wanted)
            sent = wanted
        if waited > STOP_SECONDS:
            raise EmbeddedPostgresError(
                f"Postgres in {site.data_dir} has not stopped after "
                f"{STOP_SECONDS:.0f} s: {site.log} tells what it does."
            )
        time.sleep(_pause(waited))
    forget_socket_dir(site)


def _pause(waited: float) -> float:
    """How long to sleep between two looks: short at first, then up to 0.5 s."""
    return min(max(waited / 20, 0.005), 0.5)


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
        log_from = os.fstat(log).st_size
        # The shell leaves at once, so that init and not we owns the server; its
        # processes hold the lock from here on.
        site.account.run(
            *("/bin/sh", "-c", '"$@" &', "sh"),
            *(str(bin_dir / "postgres"), "-D", path, *options),
            output=log,
            pass_fds=(lock, *descriptors),
            environment={"PG_GRANDPARENT_PID": _stale_pid(site)},
        )
        return log_from


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
    """The pid that Postgres shall take for its own family's, and so ignore.

    No server lives (we hold its lock), whatever process now has that number.
    """
    try:
        first = (site.data_dir / "postmaster.pid").read_text().partition("\n")[0]
    except FileNotFoundError:
        return "0"
    return first.lstrip("-")


def _ended(site: Site, log_from: int) -> EmbeddedPostgresError:
    with site.log.open("rb") as log:
        log.seek(log_from)
        lines = log.read().decode(errors="replace").splitlines()
    # What clients were told while they waited explains nothing.
    lines = [line for line in lines if "the database system is" not in line]
    grave = [line for line in lines if "FATAL:" in line or "PANIC:" in line]
    words = "\n".join((grave or lines)[-LOG_LINES:]) or "(nothing: it was killed)"
    return EmbeddedPostgresError(
        f"Postgres could not start in {site.data_dir}. It says:\n{words}\n"
        f"({site.log} holds the rest.)"
    )

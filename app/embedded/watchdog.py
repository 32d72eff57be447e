"""Watchdog that restarts a server which ends while it is in use."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from app.embedded.paths import ClusterPaths
from app.embedded.server import ensure_running, is_running
from app.errors import EmbeddedPostgresError
from app.files import exclusive_lock

CHECK_SECONDS = 0.5
RETRY_SECONDS = 5.0


@contextmanager
def restart_when_it_ends(paths: ClusterPaths) -> Iterator[None]:
    """Check twice a second that the server runs; start it again if it does not.

    Everything that a killed server (by the out-of-memory killer, say) had committed
    is back after its recovery, under the same socket.
    """
    stopping = threading.Event()
    thread = threading.Thread(target=_watch, args=(paths, stopping), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def _watch(paths: ClusterPaths, stopping: threading.Event) -> None:
    pause = CHECK_SECONDS
    while not stopping.wait(pause):
        pause = CHECK_SECONDS
        if is_running(paths):
            continue
        try:
            with exclusive_lock(paths.start_lock):
                if not is_running(paths):  # else another process started it
                    paths.announce("Postgres ended unexpectedly; starting it again.")
                ensure_running(paths, sleep=stopping.wait)
        except (EmbeddedPostgresError, OSError) as error:
            paths.announce(f"{error} Trying again in {RETRY_SECONDS:.0f} s.")
            pause = RETRY_SECONDS

"""Watchdog that restarts a server which ends while it is in use."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from app.embedded.cluster import Cluster
from app.embedded.server import ensure_running, is_running
from app.errors import EmbeddedPostgresError
from app.files import exclusive_lock

CHECK_SECONDS = 0.5
RETRY_SECONDS = 5.0


@contextmanager
def restart_when_it_ends(cluster: Cluster) -> Iterator[None]:
    """Check twice a second that the server runs; start it again if it does not.

    Everything that a killed server (by the out-of-memory killer, say) had committed
    is back after its recovery, under the same socket.
    """
    stopping = threading.Event()
    thread = threading.Thread(target=_watch, args=(cluster, stopping), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def _watch(cluster: Cluster, stopping: threading.Event) -> None:
    pause = CHECK_SECONDS
    while not stopping.wait(pause):
        pause = CHECK_SECONDS
        if is_running(cluster):
            continue
        try:
            with exclusive_lock(cluster.start_lock):
                if not is_running(cluster):  # else another process started it
                    cluster.announce("Postgres ended unexpectedly; starting it again.")
                ensure_running(cluster, sleep=stopping.wait)
        except (EmbeddedPostgresError, OSError) as error:
            cluster.announce(f"{error} Trying again in {RETRY_SECONDS:.0f} s.")
            pause = RETRY_SECONDS

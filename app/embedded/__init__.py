"""A real Postgres, run for installations that configure no database.

Many processes may use one cluster at once. They agree through the locks of
`Cluster`, which the kernel releases however a process ends; no pid is trusted.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from app.embedded.binaries import find_binaries
from app.embedded.cluster import Cluster
from app.embedded.server import ensure_running, is_running, stop
from app.embedded.service_user import user_for
from app.errors import EmbeddedPostgresError
from app.files import exclusive_lock, make_exclusive, shared_lock

__all__ = ["Cluster", "cluster_exists", "find_binaries", "running"]

_CHECK_PAUSE_S = 0.5
_RETRY_PAUSE_S = 5.0


def cluster_exists(state_dir: Path) -> bool:
    """Whether a state directory holds a cluster; nothing is created."""
    return (state_dir / "postgres" / "PG_VERSION").is_file()


@contextmanager
def running(
    state_dir: Path,
    *,
    bin_dir: Path | None = None,
    announce: Callable[[str], object] = lambda _: None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Cluster]:
    """Attach to the Postgres of a state directory, or start it.

    The first use creates the cluster and its database; the last user stops the server.
    A server that ends in between is started again, with the same URL and all commits.
    Blocks while it recovers (at most 600 s): call it before the event loop starts.

    Args:
        state_dir: directory, created if missing; its parents are never changed.
        bin_dir: directory of Postgres programs to use instead of those found.
        announce: callback, from any thread, for slow steps and later failures.
        settings: Postgres settings that override Rollcall's own at a start.

    Raises:
        EmbeddedPostgresError: with the reason and the remedy.
    """
    state_dir = state_dir.resolve()
    with ExitStack() as stack:
        with _file_errors_explained(state_dir):
            state_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
            cluster = Cluster(
                state_dir=state_dir,
                bin_dir=find_binaries(bin_dir),
                user=user_for(state_dir / "postgres"),
                announce=announce,
                settings=settings or {},
            )
            users = stack.enter_context(shared_lock(cluster.users_lock))
            stack.callback(_leave, cluster, users)
            with exclusive_lock(cluster.start_lock):
                ensure_running(cluster)
        stopping = threading.Event()
        thread = threading.Thread(target=_watch, args=(cluster, stopping), daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(stopping.set)
        yield cluster


def _watch(cluster: Cluster, stopping: threading.Event) -> None:
    """Start the server again whenever it has ended."""
    while not stopping.wait(_CHECK_PAUSE_S):
        if is_running(cluster):
            continue
        try:
            with exclusive_lock(cluster.start_lock):
                if not is_running(cluster):  # else another process started it
                    cluster.announce("Postgres ended unexpectedly; starting it again.")
                ensure_running(cluster, sleep=stopping.wait)
        except (EmbeddedPostgresError, OSError) as error:
            cluster.announce(f"{error} Trying again in {_RETRY_PAUSE_S:.0f} s.")
            stopping.wait(_RETRY_PAUSE_S)


def _leave(cluster: Cluster, users: int) -> None:
    with _file_errors_explained(cluster.state_dir), exclusive_lock(cluster.start_lock):
        if make_exclusive(users):
            stop(cluster)


@contextmanager
def _file_errors_explained(state_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbeddedPostgresError(
            f"The embedded Postgres cannot use {state_dir}: {error}. Repair that "
            "directory, set ROLLCALL_DATA_DIR to another one, or set "
            "ROLLCALL_DATABASE_URL to use your own Postgres."
        ) from error

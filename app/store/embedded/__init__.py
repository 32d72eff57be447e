"""Run a real Postgres for whoever has configured none.

    <state directory>/postgres      the cluster
    <state directory>/socket        its Unix socket, where the path allows it
    <state directory>/postgres.log  what the server says
    <state directory>/start.lock    held while the server is started or stopped
    <state directory>/users.lock    shared by every user; the last one out stops it
    <state directory>/server.lock   held by the server's own processes

The locks are `flock`s: the kernel releases them however a process ends, so no
pid has to be believed. Many processes may use one cluster at once.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from app.errors import EmbeddedPostgresError
from app.store.embedded.account import account_for
from app.store.embedded.binaries import find_binaries
from app.store.embedded.locks import exclusive, shared, try_exclusive
from app.store.embedded.server import ensure, stop
from app.store.embedded.site import DATABASE, PORT, SUPERUSER, Site
from app.store.embedded.watch import kept_alive

__all__ = ["Cluster", "find_binaries", "running"]


@dataclass(frozen=True, slots=True)
class Cluster:
    """One running Postgres; every path is absolute.

    Attributes:
        data_dir: the cluster's files (PGDATA).
        socket_dir: mode 0700; holds the only socket that the server listens on.
        bin_dir: `psql`, `pg_dump` and the like, of the server's version.
    """

    data_dir: Path
    socket_dir: Path
    bin_dir: Path

    def url(self, database: str = DATABASE) -> str:
        """SQLAlchemy's URL of a database of this cluster; it holds no secret."""
        query = {"host": str(self.socket_dir), "port": PORT}
        where = urlencode(query, safe="/", quote_via=quote)
        return f"postgresql+asyncpg://{SUPERUSER}@/{quote(database)}?{where}"


def _say_nothing(_: str) -> None:
    """Announce to nobody."""


@contextmanager
def running(
    state_dir: Path,
    *,
    bin_dir: Path | None = None,
    announce: Callable[[str], None] = _say_nothing,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Cluster]:
    """Attach to the Postgres of a state directory, or start it; leave it at the end.

    The first use creates the cluster and the database `rollcall`. A server that
    ends in between is started again, under the same URL. The last user to leave
    stops it. Blocks while the server recovers (at most 600 s), so call it before
    the event loop starts.

    Args:
        state_dir: made where it is missing; its parents are never changed.
        bin_dir: Postgres binaries to use instead of those that are found.
        announce: told, in sentences, what takes long, lands elsewhere or fails
            later; another thread may call it.
        settings: Postgres settings that override Rollcall's own; they count for
            whoever starts the server, not for those who attach to it.

    Raises:
        EmbeddedPostgresError: the server cannot be found, made, started, reached
            or stopped; the text says why and what to do.
    """
    state_dir = state_dir.resolve()
    with ExitStack() as stack:
        with _explained(state_dir):
            state_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
            site = Site(
                state_dir=state_dir,
                bin_dir=find_binaries(bin_dir),
                account=account_for(state_dir / "postgres"),
                announce=announce,
                settings=settings or {},
            )
            users = stack.enter_context(shared(site.users_lock))
            stack.callback(_leave, site, users)
            with exclusive(site.start_lock):
                ensure(site)
        stack.enter_context(kept_alive(site))
        yield Cluster(site.data_dir, site.socket.resolve(), site.bin_dir)


def _leave(site: Site, users: int) -> None:
    with _explained(site.state_dir), exclusive(site.start_lock):
        if try_exclusive(users):
            stop(site)


@contextmanager
def _explained(state_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbeddedPostgresError(
            f"The embedded Postgres cannot work in {state_dir}: {error}. "
            "Mend that, or set ROLLCALL_DATA_DIR to another directory, or "
            "ROLLCALL_DATABASE_URL to a database of your own."
        ) from error

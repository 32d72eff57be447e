"""One embedded Postgres: its paths, its names and its URL."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode

from app.embedded.service_user import ServiceUser

DATABASE = "rollcall"
SUPERUSER = "postgres"
PORT = 5432


@dataclass(kw_only=True)
class Cluster:
    """One cluster, and the means to run a server on it; every path is absolute.

    Attributes:
        state_dir: directory that holds everything else.
        bin_dir: directory of `psql` and the like, as this process reaches it.
        user: operating system user that runs the server.
        announce: callback for sentences about slow steps.
        settings: Postgres settings that override Rollcall's own.
    """

    state_dir: Path
    bin_dir: Path
    user: ServiceUser = field(default_factory=ServiceUser)
    announce: Callable[[str], object] = lambda _: None
    settings: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.data_dir = self.state_dir / "postgres"
        self.log = self.state_dir / "postgres.log"
        # The directory of the socket, or a symlink to it.
        self.socket = self.state_dir / "socket"
        # Held while the server is started or stopped; shared by every process that
        # uses the server; held by the server's own processes only.
        self.start_lock, self.users_lock, self.server_lock = (
            self.state_dir / f"{name}.lock" for name in ("start", "users", "server")
        )

    @property
    def socket_dir(self) -> Path:
        """Directory, mode 0700, of the only socket that the server opens."""
        return self.socket.resolve()

    def url(self, database: str = DATABASE) -> str:
        """SQLAlchemy URL of a database of this cluster; it holds no secret."""
        query = {"host": str(self.socket_dir), "port": PORT}
        options = urlencode(query, safe="/", quote_via=quote)
        return f"postgresql+asyncpg://{SUPERUSER}@/{quote(database)}?{options}"

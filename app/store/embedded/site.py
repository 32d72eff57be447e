"""Where one embedded Postgres lies, and the names that are fixed for all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from app.store.embedded.account import Account

DATABASE = "rollcall"
SUPERUSER = "postgres"
PORT = 5432


@dataclass(frozen=True, slots=True)
class Site:
    """One state directory, with what is needed to run a server on it.

    Attributes:
        state_dir: absolute; holds all else.
        bin_dir: the Postgres programs, as we reach them.
        account: whom the server runs as.
        announce: told, in sentences, what takes long.
        settings: Postgres settings that override Rollcall's own.
    """

    state_dir: Path
    bin_dir: Path
    account: Account
    announce: Callable[[str], None]
    settings: Mapping[str, str]

    @property
    def data_dir(self) -> Path:
        """The cluster's files (PGDATA)."""
        return self.state_dir / "postgres"

    @property
    def socket(self) -> Path:
        """The directory of the socket, or a symlink to it."""
        return self.state_dir / "socket"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.state_dir / "postgres.log"

    @property
    def start_lock(self) -> Path:
        """Held while the server is started or stopped."""
        return self.state_dir / "start.lock"

    @property
    def users_lock(self) -> Path:
        """Shared by everyone who uses the server."""
        return self.state_dir / "users.lock"

    @property
    def server_lock(self) -> Path:
        """Held by the server's own processes, and by nobody else."""
        return self.state_dir / "server.lock"

"""Paths and fixed names of an embedded Postgres."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from app.embedded.service_user import ServiceUser

DATABASE = "rollcall"
SUPERUSER = "postgres"
PORT = 5432


@dataclass(frozen=True, slots=True)
class ClusterPaths:
    """Paths of one cluster, and what is needed to run a server on it.

    Attributes:
        state_dir: absolute path of the directory that holds everything else.
        bin_dir: directory of the Postgres programs, as this process reaches them.
        user: operating system user that runs the server.
        announce: callback for sentences about slow steps.
        settings: Postgres settings that override Rollcall's own.
    """

    state_dir: Path
    bin_dir: Path
    user: ServiceUser
    announce: Callable[[str], object]
    settings: Mapping[str, str]

    @property
    def data_dir(self) -> Path:
        """Files of the cluster (PGDATA)."""
        return self.state_dir / "postgres"

    @property
    def socket(self) -> Path:
        """Directory of the socket, or a symlink to it."""
        return self.state_dir / "socket"

    @property
    def log(self) -> Path:
        """Log file of the server."""
        return self.state_dir / "postgres.log"

    @property
    def start_lock(self) -> Path:
        """Lock held while the server is started or stopped."""
        return self.state_dir / "start.lock"

    @property
    def users_lock(self) -> Path:
        """Lock shared by every process that uses the server."""
        return self.state_dir / "users.lock"

    @property
    def server_lock(self) -> Path:
        """Lock held by the server's own processes only."""
        return self.state_dir / "server.lock"

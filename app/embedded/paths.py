"""Paths and fixed names of an embedded Postgres."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.embedded.service_user import ServiceUser

DATABASE = "rollcall"
SUPERUSER = "postgres"
PORT = 5432


@dataclass(kw_only=True)
class ClusterPaths:
    """Paths of one cluster, and the means to run a server on it.

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

"""One embedded Postgres: its paths, its names, its URL and its socket."""

import os
import re
import socket
import stat
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode

from app.embedded.service_user import ServiceUser

DATABASE = "rollcall"
SUPERUSER = "postgres"
PORT = 5432
# A socket's path holds 104 bytes on some systems, of which its file name takes 15;
# other characters have a meaning in URLs and in lists of hosts.
PLAIN_PATH = re.compile(r"[\w./-]{1,80}", re.ASCII)
SOCKET_NAME = f".s.PGSQL.{PORT}"
# Names the pid of the other side, first in the value; on macOS <sys/un.h> defines it.
PEER_PID = (
    (0, 2) if sys.platform == "darwin" else (socket.SOL_SOCKET, socket.SO_PEERCRED)
)


@dataclass(kw_only=True)
class Cluster:
    """One cluster, and the means to run a server on it; every path is absolute.

    Attributes:
        state_dir: directory that holds everything else.
        bin_dir: directory of `psql` and the like, as this process reaches it.
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

    def listening_pid(self) -> int | None:
        """Return the pid of the server that listens, or None.

        The kernel reports it, so it cannot be a recycled pid. 0 is a server in another
        container.
        """
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1.0)
            try:
                client.connect(str(self.socket_dir / SOCKET_NAME))
            except OSError:
                return None
            return client.getsockopt(*PEER_PID)

    def make_socket_dir(self) -> None:
        """Create the directory of the socket, mode 0700, owned by the server's user.

        It lies in the state directory if the path is plain, at most 80 bytes long and
        open to that user. Otherwise it gets an unpredictable name in /tmp, to which a
        symlink in the state directory points. Call it only while no server runs,
        because it removes the remains of a crash.
        """
        place = self.socket
        is_plain = PLAIN_PATH.fullmatch(str(place)) is not None
        fits = is_plain and self.user.can_reach(self.state_dir)
        if fits or not self._has_private_dir():
            if place.is_symlink():
                place.unlink()
            if fits:
                self.user.make_private(place)
            else:
                if place.is_dir():
                    place.rmdir()
                made = Path(tempfile.mkdtemp(prefix="rollcall-", dir="/tmp"))
                self.user.make_private(made)
                place.symlink_to(made)
        self._remove_sockets()

    def remove_socket_dir(self) -> None:
        """Remove the directory in /tmp of a stopped server, if it used one."""
        if self._has_private_dir():
            self._remove_sockets()
            self.socket_dir.rmdir()
        if self.socket.is_symlink():
            self.socket.unlink()

    def _remove_sockets(self) -> None:
        for stale in self.socket.glob(f"{SOCKET_NAME}*"):
            stale.unlink()

    def _has_private_dir(self) -> bool:
        """Whether the symlink of an earlier start points to a directory of our own."""
        try:
            found = self.socket.readlink().lstat()
        except OSError:  # it is none, or the directory is gone
            return False
        owner = os.geteuid() if self.user.uid is None else self.user.uid
        return found.st_mode == stat.S_IFDIR | stat.S_IRWXU and found.st_uid == owner

"""Directory of the server's Unix socket, and the process that listens there."""

import os
import re
import socket
import stat
import struct
import sys
import tempfile
from pathlib import Path

from app.embedded.paths import PORT, ClusterPaths

# A socket's path holds 104 bytes on some systems, of which its file name takes 15;
# other characters have a meaning in URLs and in lists of hosts.
PLAIN_PATH = re.compile(r"[\w./-]{1,80}", re.ASCII)
SOCKET_NAME = f".s.PGSQL.{PORT}"
CONNECT_SECONDS = 1.0
# macOS, <sys/un.h>; Python does not define them.
SOL_LOCAL, LOCAL_PEERPID = 0, 2
UCRED = struct.Struct("3i")


def make_socket_dir(paths: ClusterPaths) -> Path:
    """Create the directory of the socket, mode 0700, owned by the server's user.

    It lies in the state directory if the path is plain, at most 80 bytes long and
    open to that user. Otherwise it gets an unpredictable name in /tmp, and a symlink
    in the state directory points to it. Call it only while no server runs, because
    it removes the remains of a crash.
    """
    place = paths.socket
    fits = PLAIN_PATH.fullmatch(str(place)) and paths.user.can_reach(paths.state_dir)
    if fits or not _is_private(paths):
        if place.is_symlink():
            place.unlink()
        if fits:
            paths.user.make_private(place)
        else:
            if place.is_dir():
                place.rmdir()
            made = Path(tempfile.mkdtemp(prefix="rollcall-", dir="/tmp"))
            paths.user.make_private(made)
            place.symlink_to(made)
    _remove_sockets(place)
    return place.resolve()


def remove_socket_dir(paths: ClusterPaths) -> None:
    """Remove the directory in /tmp of a stopped server, if it used one."""
    if _is_private(paths):
        _remove_sockets(paths.socket)
        paths.socket.resolve().rmdir()
    if paths.socket.is_symlink():
        paths.socket.unlink()


def listening_pid(directory: Path) -> int | None:
    """Return the pid of the server that listens, or None.

    The kernel reports it, so it cannot be a recycled pid. 0 is a server in another
    container.
    """
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(CONNECT_SECONDS)
        try:
            client.connect(str(directory / SOCKET_NAME))
        except OSError:
            return None
        if sys.platform == "darwin":
            return client.getsockopt(SOL_LOCAL, LOCAL_PEERPID)
        peer = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size)
        pid: int = UCRED.unpack(peer)[0]
        return pid


def _remove_sockets(directory: Path) -> None:
    for stale in directory.glob(f"{SOCKET_NAME}*"):
        stale.unlink()


def _is_private(paths: ClusterPaths) -> bool:
    """Whether the symlink of an earlier start points to a directory of our own."""
    if not paths.socket.is_symlink():
        return False
    try:
        found = paths.socket.readlink().lstat()
    except OSError:
        return False
    owner = os.geteuid() if paths.user.uid is None else paths.user.uid
    return found.st_mode == stat.S_IFDIR | stat.S_IRWXU and found.st_uid == owner

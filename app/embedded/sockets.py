"""Directory of the server's Unix socket, and the process that listens there."""

import os
import re
import socket
import stat
import struct
import sys
import tempfile
from pathlib import Path

from app.embedded.cluster import PORT, Cluster

# A socket's path holds 104 bytes on some systems, of which its file name takes 15;
# other characters have a meaning in URLs and in lists of hosts.
PLAIN_PATH = re.compile(r"[\w./-]{1,80}", re.ASCII)
SOCKET_NAME = f".s.PGSQL.{PORT}"
CONNECT_SECONDS = 1.0
# macOS, <sys/un.h>; Python does not define them.
SOL_LOCAL, LOCAL_PEERPID = 0, 2
UCRED = struct.Struct("3i")


def make_socket_dir(cluster: Cluster) -> Path:
    """Create the directory of the socket, mode 0700, owned by the server's user.

    It lies in the state directory if the path is plain, at most 80 bytes long and
    open to that user. Otherwise it gets an unpredictable name in /tmp, and a symlink
    in the state directory points to it. Call it only while no server runs, because
    it removes the remains of a crash.
    """
    place = cluster.socket
    fits = PLAIN_PATH.fullmatch(str(place)) and cluster.user.can_reach(
        cluster.state_dir
    )
    if fits or not _is_private(cluster):
        if place.is_symlink():
            place.unlink()
        if fits:
            cluster.user.make_private(place)
        else:
            if place.is_dir():
                place.rmdir()
            made = Path(tempfile.mkdtemp(prefix="rollcall-", dir="/tmp"))
            cluster.user.make_private(made)
            place.symlink_to(made)
    _remove_sockets(place)
    return place.resolve()


def remove_socket_dir(cluster: Cluster) -> None:
    """Remove the directory in /tmp of a stopped server, if it used one."""
    if _is_private(cluster):
        _remove_sockets(cluster.socket)
        cluster.socket_dir.rmdir()
    if cluster.socket.is_symlink():
        cluster.socket.unlink()


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


def _is_private(cluster: Cluster) -> bool:
    """Whether the symlink of an earlier start points to a directory of our own."""
    if not cluster.socket.is_symlink():
        return False
    try:
        found = cluster.socket.readlink().lstat()
    except OSError:
        return False
    owner = os.geteuid() if cluster.user.uid is None else cluster.user.uid
    return found.st_mode == stat.S_IFDIR | stat.S_IRWXU and found.st_uid == owner

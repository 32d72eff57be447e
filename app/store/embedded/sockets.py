"""The directory of the server's Unix socket, and who listens there."""

import os
import re
import socket
import stat
import struct
import sys
import tempfile
from pathlib import Path

from app.store.embedded.site import PORT, Site

# A socket's path holds 104 bytes on some systems, of which its own name takes 15;
# what else stands in the path would mean something in URLs and lists of hosts.
PLAIN_PATH = re.compile(r"[\w./-]{1,80}", re.ASCII)
SOCKET_NAME = f".s.PGSQL.{PORT}"
CONNECT_SECONDS = 1.0
# macOS, <sys/un.h>; Python has no names for them.
SOL_LOCAL, LOCAL_PEERPID = 0, 2
UCRED = struct.Struct("3i")


def make_socket_dir(site: Site) -> Path:
    """A directory for the socket, 0700, of the server's user.

    In the state directory where the path is plain, at most 80 bytes long and
    open to that user; else in /tmp, under a name that nobody can foresee, and a
    symlink in the state directory leads there. Call it only while no server
    lives: it clears away what a crash left.
    """
    place = site.socket
    fits = PLAIN_PATH.fullmatch(str(place)) and site.account.reaches(site.state_dir)
    if fits:
        if place.is_symlink():
            place.unlink()
        site.account.own(place)
    elif not _is_private(site, place):
        if place.is_symlink():
            place.unlink()
        elif place.is_dir():
            place.rmdir()
        made = Path(tempfile.mkdtemp(prefix="rollcall-", dir="/tmp"))
        site.account.own(made)
        place.symlink_to(made)
    _clear(place)
    return place.resolve()


def forget_socket_dir(site: Site) -> None:
    """Remove the directory in /tmp that the stopped server used, if it did."""
    if _is_private(site, site.socket):
        _clear(site.socket)
        site.socket.resolve().rmdir()
    if site.socket.is_symlink():
        site.socket.unlink()


def listener(directory: Path) -> int | None:
    """The pid of the server that listens; None if none does.

    The kernel tells it, so it is the server's and no recycled number. 0 stands
    for a server in another container.
    """
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(CONNECT_SECONDS)
        try:
            client.connect(str(directory / SOCKET_NAME))
        except OSError:
            return None
        if sys.platform == "darwin":
            return client.getsockopt(SOL_LOCAL, LOCAL_PEERPID)
        told = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size)
        pid: int = UCRED.unpack(told)[0]
        return pid


def _clear(directory: Path) -> None:
    for stale in directory.glob(f"{SOCKET_NAME}*"):
        stale.unlink()


def _is_private(site: Site, place: Path) -> bool:
    """Whether the symlink of an earlier start leads to what is still ours alone."""
    if not place.is_symlink():
        return False
    try:
        found = place.readlink().lstat()
    except OSError:
        return False
    owner = os.geteuid() if site.account.uid is None else site.account.uid
    return (
        stat.S_ISDIR(found.st_mode)
        and stat.S_IMODE(found.st_mode) == stat.S_IRWXU
        and found.st_uid == owner
    )

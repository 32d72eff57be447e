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

# A socket's path holds 104 bytes on some systems, the socket's own name takes 15,
# and commas, quotes and the like mean something in lists of hosts.
PLAIN_PATH = re.compile(r"[\w./ -]{1,80}", re.ASCII)
# macOS, <sys/un.h>; Python has no names for them.
SOL_LOCAL, LOCAL_PEERPID = 0, 2
_CONNECT_SECONDS = 1.0
_PID_FILE_LINE = 4


def make_socket_dir(site: Site) -> Path:
    """An empty directory for the socket, 0700, of the server's user.

    In the state directory where the path is plain, at most 80 bytes long and
    open to that user; else in /tmp, under a name that nobody can foresee.
    Call it only while no server lives: it removes what a crash left behind.
    """
    inside = site.state_dir / "socket"
    if PLAIN_PATH.fullmatch(str(inside)) and site.account.reaches(site.state_dir):
        chosen = inside
    else:
        chosen = _private(site) or Path(
            tempfile.mkdtemp(prefix="rollcall-", dir="/tmp")
        )
    site.account.own(chosen)
    for stale in chosen.glob(".s.PGSQL.*"):
        stale.unlink()
    return chosen


def recorded_socket_dir(site: Site) -> Path | None:
    """The directory that the server wrote into its pid file, once it did."""
    try:
        lines = site.pid_file.read_text().splitlines()
    except FileNotFoundError:
        return None
    if len(lines) <= _PID_FILE_LINE or not lines[_PID_FILE_LINE]:
        return None
    return Path(lines[_PID_FILE_LINE])


def forget_socket_dir(site: Site, directory: Path) -> None:
    """Remove a directory in /tmp that the stopped server used."""
    if directory.parent != site.state_dir and directory.is_dir():
        directory.rmdir()


def listener(directory: Path) -> int | None:
    """The pid of the server that listens; None if none does.

    The kernel says it, so it is the server's and no recycled number. 0 stands
    for a server in another container.
    """
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_CONNECT_SECONDS)
        try:
            client.connect(str(directory / f".s.PGSQL.{PORT}"))
        except OSError:
            return None
        if sys.platform == "darwin":
            return client.getsockopt(SOL_LOCAL, LOCAL_PEERPID)
        size = struct.calcsize("3i")
        told = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        pid: int = struct.unpack("3i", told)[0]
        return pid


def _private(site: Site) -> Path | None:
    """The directory of a crashed server, if it is still ours alone."""
    directory = recorded_socket_dir(site)
    if directory is None or directory.parent == site.state_dir:
        return None
    try:
        found = directory.lstat()
    except OSError:
        return None
    owner = os.geteuid() if site.account.uid is None else site.account.uid
    ours = found.st_uid == owner and stat.S_IMODE(found.st_mode) == stat.S_IRWXU
    return directory if ours and stat.S_ISDIR(found.st_mode) else None

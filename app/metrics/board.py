"""A row of cells for each process, in files that all of them map into memory.

A process adds to its own row and to no other, so nobody waits for anybody. It holds
its row by a lock on the file, which the kernel releases however the process ends; its
successor takes the row as it is and counts on, so no counter goes back. A row of code
with other metrics is left as it is, and read by the names of its cells.
"""

import errno
import fcntl
import json
import logging
import mmap
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TypeAlias

from app.metrics.layout import ALIVE_AT, Layout

log = logging.getLogger(__name__)

# Of floats.
Row: TypeAlias = "memoryview[float]"
_CELL_BYTES = 8
_MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp makes the directory in it
_PREFIX = "rollcall-metrics-"
_LEFT_S = 3600.0


@contextmanager
def shared_directory(
    parents: Iterable[Path | None] = (_MEMORY, None),
) -> Iterator[Path | None]:
    """A private directory for the rows of one service, as long as that lasts.

    In memory where there is a file system for it: counting must never wait for a
    disk, or fail because it is full.

    Args:
        parents: the first that can be used is; None is the system's for what is
            temporary.

    Yields:
        None where none can be: then each worker counts for itself.
    """
    directory = _make_directory(parents)
    if directory is None:
        yield None
    else:
        with directory:
            yield Path(directory.name)


def _make_directory(
    parents: Iterable[Path | None],
) -> tempfile.TemporaryDirectory[str] | None:
    for parent in parents:
        if parent is not None:
            _tidy(parent)
        with suppress(OSError):
            return tempfile.TemporaryDirectory(
                prefix=_PREFIX, dir=parent, ignore_cleanup_errors=True
            )
    return None


def _tidy(parent: Path) -> None:
    """Remove what services that were killed have left there, an hour ago or more."""
    for left in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # it is another user's, or another was first
            is_old = left.stat().st_mtime < time.time() - _LEFT_S
            if is_old and not any(map(_is_held, left.iterdir())):
                shutil.rmtree(left)


def _is_held(path: Path) -> bool:
    file = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


class Board:
    """The rows of all processes of one service.

    Args:
        layout: of this process's row.
        directory: where the rows are; without one this process has the only row.
    """

    def __init__(self, layout: Layout, directory: Path | None = None) -> None:
        self.layout = layout
        self._directory = directory
        self._header = _header(layout)
        self._own: Row | None = None

    def take(self) -> Row:
        """This process's row; the same at each call."""
        if self._own is None:
            self._own = self._take()
        return self._own

    def _take(self) -> Row:
        cells = len(self.layout.keys)
        if self._directory is not None:
            try:
                return self._take_file(self._directory)[-cells:]
            except OSError:
                # Somebody tidied it away: no reason not to take events in.
                log.exception("this worker counts for itself")
                self._directory = None
        return memoryview(bytearray(cells * _CELL_BYTES)).cast("d")

    def _take_file(self, directory: Path) -> Row:
        size = len(self._header) + len(self.layout.keys) * _CELL_BYTES
        for number in count():
            path = directory / f"{self.layout.fingerprint}.{number}"
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                continue
            if os.fstat(file).st_size < size:
                # All of it is written, because a page that is missing later kills.
                os.truncate(file, 0)
                if os.pwrite(file, self._header.ljust(size, b"\0"), 0) < size:
                    raise OSError(errno.ENOSPC, "no room for a row", str(path))
            # The descriptor stays open, and with it the lock, until the process ends.
            return memoryview(mmap.mmap(file, size)).cast("d")
        raise AssertionError

    def bury(self) -> int:
        """How many workers have died since anybody asked, other than in good order.

        Such a one has left its row saying that it lives, and holds it no more.
        """
        own = self.take()
        died = int(own[ALIVE_AT] > 0)
        own[ALIVE_AT] = 0.0
        if self._directory is not None:
            with suppress(OSError):
                for path in self._directory.glob(f"{self.layout.fingerprint}.*"):
                    died += self._bury(path)
        return died

    def _bury(self, path: Path) -> bool:
        alive_at = len(self._header) + ALIVE_AT * _CELL_BYTES
        file = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not any(os.pread(file, _CELL_BYTES, alive_at)):
                return False
            os.pwrite(file, bytes(_CELL_BYTES), alive_at)
        except BlockingIOError:  # it lives
            return False
        finally:
            os.close(file)
        return True

    def rows(self) -> list[Sequence[float]]:
        """The cells of every row, this process's own among them, by this layout."""
        own = self.take()
        if self._directory is not None:
            with suppress(FileNotFoundError):
                paths = sorted(self._directory.iterdir())
                return [row for row in map(self._read, paths) if row is not None]
        return [own.tolist()]

    def _read(self, path: Path) -> Sequence[float] | None:
        header, newline, cells = path.read_bytes().partition(b"\n")
        if not newline:
            return None  # it is just being made
        own = header + newline == self._header
        keys = self.layout.keys if own else json.loads(header)
        if len(cells) != len(keys) * _CELL_BYTES:
            return None  # likewise
        values = memoryview(cells).cast("d").tolist()
        if own:
            return values
        known = dict(zip(keys, values, strict=True))
        return [known.get(key, 0.0) for key in self.layout.keys]


def _header(layout: Layout) -> bytes:
    """The names of the cells, as a line that ends where a cell may begin."""
    header = json.dumps(layout.keys).encode()
    return header + b" " * (-(len(header) + 1) % _CELL_BYTES) + b"\n"

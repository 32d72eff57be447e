"""A row of cells for each process, in files that all of them map into memory.

A process adds to its own row and to no other, so nobody waits for anybody. It holds
its row by a lock on the file, which the kernel releases however the process ends; its
successor takes the row as it is and counts on, so no counter goes back. A row of code
with other metrics is left as it is, and read by the names of its cells.
"""

import fcntl
import json
import mmap
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TypeAlias

from app.metrics.layout import Layout

# Of floats.
Row: TypeAlias = "memoryview[float]"
_CELL_BYTES = 8


@contextmanager
def shared_directory() -> Iterator[Path]:
    """A private directory for the rows of one service, as long as that lasts.

    In memory where there is a file system for it: counting must never wait for a
    disk, or fail because it is full.
    """
    memory = Path("/dev/shm")  # noqa: S108 - mkdtemp makes the directory in it
    parent = memory if os.access(memory, os.W_OK | os.X_OK) else None
    with tempfile.TemporaryDirectory(
        prefix="rollcall-metrics-", dir=parent, ignore_cleanup_errors=True
    ) as directory:
        yield Path(directory)


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
            cells = len(self.layout.keys)
            if self._directory is None:
                self._own = memoryview(bytearray(cells * _CELL_BYTES)).cast("d")
            else:
                self._own = self._take_file(self._directory)[-cells:]
        return self._own

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
                # All of it is written, so that no page is missing later.
                os.pwrite(file, self._header.ljust(size, b"\0"), 0)
            # The descriptor stays open, and with it the lock, until the process ends.
            return memoryview(mmap.mmap(file, size)).cast("d")
        raise AssertionError

    def rows(self) -> list[Sequence[float]]:
        """The cells of every row, this process's own among them, by this layout."""
        if self._directory is None:
            return [self.take().tolist()]
        return [
            row
            for path in sorted(self._directory.iterdir())
            if (row := self._read(path)) is not None
        ]

    def _read(self, path: Path) -> Sequence[float] | None:
        header, _, cells = path.read_bytes().partition(b"\n")
        if header == self._header[:-1]:
            keys = self.layout.keys
        elif header:
            keys = json.loads(header)
        else:
            return None  # it is just being made
        if len(cells) != len(keys) * _CELL_BYTES:
            return None  # likewise
        values = memoryview(cells).cast("d").tolist()
        if keys is self.layout.keys:
            return values
        known = dict(zip(keys, values, strict=True))
        return [known.get(key, 0.0) for key in self.layout.keys]


def _header(layout: Layout) -> bytes:
    """The names of the cells, as a line that ends where a cell may begin."""
    header = json.dumps(layout.keys).encode()
    return header + b" " * (-(len(header) + 1) % _CELL_BYTES) + b"\n"

"""One journal file with durable entries.

All calls block and must come from one thread.
"""

import secrets
import sqlite3
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from app.files import sync_directory, try_lock
from app.store.journal.sqlite import (
    ASIDE,
    PARTS,
    SUFFIX,
    JournalStats,
    connect_file,
    forget,
    measure,
    read_after,
)


class JournalFile:
    """Entries in order of arrival, each kept until it is confirmed.

    A lock file next to the database belongs to its owner until the file is closed or
    the process ends.

    Attributes:
        held: statistics of all entries in the file.
        damaged: sequence numbers of entries that are never read again.
        after: sequence number after which this round of reading continues.

    Raises:
        BlockingIOError: another process owns the file, or the file is gone.
        OSError: the file cannot be locked.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.held = JournalStats(0, 0, None)
        # Confirmed entries whose deletion failed, for example on a full disk.
        self._confirmed: set[int] = set()
        self.damaged: set[int] = set()
        self.after = 0
        self._connection: sqlite3.Connection | None = None
        self._lock = ExitStack()
        if self._lock.enter_context(try_lock(_lock_of(path))) is None:
            self._lock.close()
            raise BlockingIOError(f"{path.name} is owned")

    @classmethod
    def create(cls, directory: Path) -> "JournalFile":
        """Create an empty file with a unique name; names sort by creation time.

        Raises:
            sqlite3.Error, OSError: the file cannot be created; nothing of it is left.
        """
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(6)}{SUFFIX}"
        file = cls(directory / name)
        try:
            file.path.touch(mode=0o600)
            file.open()
            sync_directory(directory)
        except BaseException:
            file.remove()
            raise
        return file

    @classmethod
    def adopt(cls, path: Path) -> "JournalFile":
        """Take ownership of a file whose owner has ended; open it afterwards.

        Raises:
            BlockingIOError: the file has an owner, or it is gone.
        """
        file = cls(path)
        if not path.exists():
            # Its owner removed the file, and the lock last.
            file.remove()
            raise BlockingIOError(f"{path.name} is gone")
        return file

    def open(self) -> None:
        """Open the database and measure it.

        Raises:
            sqlite3.Error: the database cannot be read.
        """
        self._connection = connect_file(self.path)
        self.held = measure(self._connection)

    @property
    def waiting(self) -> int:
        """Number of entries that can still be read and confirmed."""
        return self.held.entries - len(self._confirmed) - len(self.damaged)

    def append(self, entries: Collection[bytes], *, at: float) -> None:
        """Write entries durably, all or none.

        Raises:
            sqlite3.Error, OSError: no entry was written.
        """
        with self._transaction() as connection:
            connection.executemany(
                "INSERT INTO entries (at, checksum, entry) VALUES (?, ?, ?)",
                [(at, zlib.crc32(entry), entry) for entry in entries],
            )
        self.held = JournalStats(
            self.held.entries + len(entries),
            self.held.size + sum(map(len, entries)),
            self.held.oldest_at or at,
        )

    def read(self, *, limit: int, max_bytes: int) -> list[tuple[int, bytes]]:
        """Read the oldest entries of this round, at least one if there is any.

        Returns:
            Sequence number and entry of each; an empty one if its checksum is wrong.

        Raises:
            sqlite3.Error: the database cannot be read.
        """
        lines: list[tuple[int, bytes]] = []
        size = 0
        rows = read_after(self._open_connection, self.after)
        for seq, checksum, entry in rows:
            if seq in self._confirmed or seq in self.damaged:
                continue
            size += len(entry)
            if lines and (len(lines) == limit or size > max_bytes):
                break
            lines.append((seq, entry if zlib.crc32(entry) == checksum else b""))
        rows.close()
        return lines

    def delete(self, seqs: Iterable[int]) -> None:
        """Delete confirmed entries; a deletion that fails is tried again next time."""
        self._confirmed.update(seqs)
        with suppress(sqlite3.Error, OSError):
            with self._transaction() as connection:
                held = forget(connection, self._confirmed, held=self.held)
            self.held = held
            self._confirmed.clear()

    def set_aside(self) -> Path:
        """Rename the file so that no process reads it, and leave it to the operator."""
        self._disconnect()
        aside = self.path.with_name(self.path.name + ASIDE)
        for part in PARTS:
            with suppress(FileNotFoundError):
                Path(f"{self.path}{part}").rename(f"{aside}{part}")
        self.remove()
        return aside

    def remove(self) -> None:
        """Remove the file."""
        self._disconnect()
        # The lock goes last, so that no other process can adopt a part of the files.
        for part in PARTS:
            Path(f"{self.path}{part}").unlink(missing_ok=True)
        _lock_of(self.path).unlink(missing_ok=True)
        self._lock.close()

    def close(self) -> None:
        """Close the file; another process may adopt it."""
        self._disconnect()
        self._lock.close()

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    @property
    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.ProgrammingError("the journal file is closed")
        return self._connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._open_connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # it may have rolled back by itself
                connection.execute("ROLLBACK")
            raise


def is_owned(path: Path) -> bool:
    """Whether a running process owns the journal of this database."""
    with try_lock(_lock_of(path)) as lock:
        return lock is None


def _lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")

"""The SQLite database of one journal file: schema, opening, statistics."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

SUFFIX = ".sqlite3"
# Added to the name of a damaged file.
ASIDE = ".damaged"
# Suffixes of the files of one database, as SQLite names them.
PARTS = ("", "-wal", "-shm")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    checksum INTEGER NOT NULL,
    entry BLOB NOT NULL
)
"""
_MEASURE = "SELECT count(*), coalesce(sum(length(entry)), 0), min(at) FROM entries"
# A flipped bit can change the type of the value. The cast leaves the verdict to the
# checksum.
_READ = """
SELECT seq, checksum, coalesce(CAST(entry AS BLOB), x'')
FROM entries WHERE seq > ? ORDER BY seq
"""
_SIZE = "SELECT coalesce(sum(length(entry)), 0) FROM entries WHERE seq = ?"
_FORGET = "DELETE FROM entries WHERE seq = ?"
_OLDEST_AT = "SELECT at FROM entries ORDER BY seq LIMIT 1"
_BUSY_S = 1.0
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class JournalStats(NamedTuple):
    """Content of one or more journal files.

    Attributes:
        size: total bytes of the entries.
        oldest_at: time of the oldest entry in seconds since 1970; None if empty.
    """

    entries: int
    size: int
    oldest_at: float | None


def journal_files(directory: Path) -> list[Path]:
    """The databases in a directory and in those of the buckets below it, by name."""
    return sorted(directory.rglob(f"*{SUFFIX}"))


def connect_file(path: Path) -> sqlite3.Connection:
    """Open a database for writing; each commit is synced to disk before it returns.

    Raises:
        sqlite3.Error: the file cannot be opened or is not a SQLite database.
    """
    connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_S)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # of effect on macOS
        connection.execute(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection


def measure(connection: sqlite3.Connection) -> JournalStats:
    """Measure the content by reading every entry."""
    return JournalStats(*connection.execute(_MEASURE).fetchone())


def read_after(connection: sqlite3.Connection, seq: int) -> sqlite3.Cursor:
    """Rows (seq, checksum, entry) after a sequence number, in order."""
    return connection.execute(_READ, (seq,))


def forget(
    connection: sqlite3.Connection, seqs: Iterable[int], *, held: JournalStats
) -> JournalStats:
    """Delete entries, and return the statistics of the rest without reading it.

    Args:
        connection: in a transaction.
        seqs: sequence numbers, each once.
        held: statistics before the deletion.
    """
    places = [(seq,) for seq in seqs]
    size = sum(connection.execute(_SIZE, place).fetchone()[0] for place in places)
    if connection.executemany(_FORGET, places).rowcount != len(places):
        return measure(connection)  # some were deleted before
    oldest = connection.execute(_OLDEST_AT).fetchone()
    return JournalStats(
        held.entries - len(places), held.size - size, oldest and oldest[0]
    )


def connect_read_only(path: Path) -> closing[sqlite3.Connection]:
    """Open a database that another process may be writing to.

    Raises:
        sqlite3.Error: the file cannot be opened.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return closing(sqlite3.connect(uri, uri=True))


def is_corrupt(error: sqlite3.Error) -> bool:
    """Whether the error means that the file is permanently damaged."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _CORRUPT

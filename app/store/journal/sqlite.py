"""One SQLite database of entries: its form, how it is opened, what it holds."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

SUFFIX = ".sqlite3"
# Of one database, beside the file itself; SQLite names them so.
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
# What a flipped bit has made no blob of is one again, so that its checksum decides.
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
    """What one or more files hold.

    Attributes:
        entries: how many.
        size: of them all, in bytes.
        oldest_at: when the oldest came in, in seconds since 1970; None if empty.
    """

    entries: int
    size: int
    oldest_at: float | None


def connect(path: Path) -> sqlite3.Connection:
    """Open one to write to; each commit is on the disk before it returns.

    Raises:
        sqlite3.Error: it cannot be opened, or is no such database.
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
    """What it holds; reads all of it."""
    return JournalStats(*connection.execute(_MEASURE).fetchone())


def read_after(connection: sqlite3.Connection, seq: int) -> sqlite3.Cursor:
    """The places, checksums and entries behind a place, in their order."""
    return connection.execute(_READ, (seq,))


def forget(
    connection: sqlite3.Connection, seqs: Iterable[int], *, held: JournalStats
) -> JournalStats:
    """Delete entries; returns what it holds then.

    Without measuring, which takes long where much is held.

    Args:
        connection: in a transaction.
        seqs: places of entries, each once.
        held: what it holds until then.
    """
    places = [(seq,) for seq in seqs]
    size = sum(connection.execute(_SIZE, place).fetchone()[0] for place in places)
    if connection.executemany(_FORGET, places).rowcount != len(places):
        return measure(connection)  # some were gone already
    oldest = connection.execute(_OLDEST_AT).fetchone()
    return JournalStats(
        held.entries - len(places), held.size - size, oldest and oldest[0]
    )


def inspect(path: Path) -> JournalStats:
    """What one holds that somebody else may be writing to.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_S)
    try:
        return measure(connection)
    finally:
        connection.close()


def is_corrupt(error: sqlite3.Error) -> bool:
    """Whether the file itself is damaged, for good."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _CORRUPT

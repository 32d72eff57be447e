"""Recent sessions of browsers, in the data directory, for outages of Postgres.

Any worker of the machine then knows a browser that another one has seen. The file holds
hashes of tokens, never a token.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from app.files import exclusive_lock, replace_file
from app.logs import fields
from app.store.keys.browser_sessions import SESSION_LIFE
from app.store.keys.scopes import Reader

log = logging.getLogger(__name__)

SESSIONS_FILE = "sessions.json"
_REFRESH_S = 3600.0
# Time and reader; another release may write others.
_COLUMNS = 1 + len(Reader._fields)


class SessionFile:
    """The file of recent sessions, shared by all processes with one data directory."""

    def __init__(
        self, directory: Path, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._path = directory / SESSIONS_FILE
        self._lock = self._path.with_suffix(".lock")
        # Reader and time of each session that this process wrote.
        self._written: dict[bytes, tuple[Reader, float]] = {}
        # Inode and time of the file that was read last, and its rows.
        self._last_read: tuple[tuple[int, int], dict[str, list[Any]]] = ((0, 0), {})

    def remember(self, token_hash: bytes, reader: Reader | None) -> None:
        """Add a session that was looked up; None removes it."""
        now = self._clock()
        written = self._written.get(token_hash)
        if written and written[0] == reader and now < written[1] + _REFRESH_S:
            return
        if reader is None and self.recall(token_hash) is None:
            return
        self._written.pop(token_hash, None)
        try:
            with exclusive_lock(self._lock):
                self._replace(token_hash, reader, now=now)
        except OSError as error:
            log.warning(
                "recent sessions not written", extra=fields(error=error.strerror)
            )
        if reader is not None:
            self._written[token_hash] = (reader, now)

    def recall(self, token_hash: bytes) -> Reader | None:
        """Return the reader of a recent session, as of its last look-up."""
        row = self._read().get(token_hash.hex())
        return Reader(*row[1:]) if row and self._is_recent(row) else None

    def _replace(self, token_hash: bytes, reader: Reader | None, *, now: float) -> None:
        rows = {
            token: row for token, row in self._read().items() if self._is_recent(row)
        }
        rows.pop(token_hash.hex(), None)
        if reader is not None:
            rows[token_hash.hex()] = [now, *reader]
        replace_file(self._path, orjson.dumps(rows))

    def _read(self) -> dict[str, list[Any]]:
        """The rows of the file; they are parsed again only after it was replaced."""
        try:
            status = self._path.stat()
            version = (status.st_ino, status.st_mtime_ns)
            if version != self._last_read[0]:
                rows = orjson.loads(self._path.read_bytes()).items()
                valid = {token: row for token, row in rows if self._is_recent(row)}
                self._last_read = (version, valid)
        except (OSError, ValueError, AttributeError, TypeError, LookupError):
            return {}
        return self._last_read[1]

    def _is_recent(self, row: list[Any]) -> bool:
        """Whether a session was looked up within the life of a session."""
        since = self._clock() - SESSION_LIFE.total_seconds()
        return len(row) == _COLUMNS and bool(row[0] > since)

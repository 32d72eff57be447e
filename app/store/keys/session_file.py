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

NAME = "sessions.json"
_REFRESH_S = 3600.0
# Time and reader; another release may write others.
_COLUMNS = 1 + len(Reader._fields)


class SessionFile:
    """The file of recent sessions, shared by all processes with one data directory.

    Args:
        directory: data directory.
        clock: seconds since 1970.
    """

    def __init__(
        self, directory: Path, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._path = directory / NAME
        self._lock = self._path.with_suffix(".lock")
        # Reader and time of each session that this process wrote.
        self._written: dict[bytes, tuple[Reader, float]] = {}

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
        return None if row is None else Reader(*row[1:])

    def _replace(self, token_hash: bytes, reader: Reader | None, *, now: float) -> None:
        rows = self._read()
        rows.pop(token_hash.hex(), None)
        if reader is not None:
            rows[token_hash.hex()] = [now, *reader]
        replace_file(self._path, orjson.dumps(rows))

    def _read(self) -> dict[str, list[Any]]:
        """Sessions that were looked up within the life of a session."""
        since = self._clock() - SESSION_LIFE.total_seconds()
        try:
            rows = orjson.loads(self._path.read_bytes())
            return {
                token: row
                for token, row in rows.items()
                if len(row) == _COLUMNS and row[0] > since
            }
        except (OSError, ValueError, AttributeError, TypeError, LookupError):
            return {}

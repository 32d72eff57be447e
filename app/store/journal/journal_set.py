"""The files of one process: its own, and those that it has adopted.

All of it blocks, and belongs in one thread.
"""

import logging
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from app.logs import fields
from app.pipeline.outcome import Entry
from app.store.journal.codec import decode_entry
from app.store.journal.journal_file import JournalFile
from app.store.journal.sqlite import SUFFIX, JournalStats, is_corrupt

log = logging.getLogger(__name__)

FAILURES = (sqlite3.Error, OSError)
_PAGE_BYTES = 4 * 1024 * 1024


class JournalPage(NamedTuple):
    """Some entries of one file, the oldest first, and their sequence numbers in it."""

    file: JournalFile
    seqs: list[int]
    entries: list[Entry]


class JournalSet:
    """Files of this process in one directory, which several processes share."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._own: JournalFile | None = None
        self._adopted: list[JournalFile] = []
        self._unavailable: set[Path] = set()

    @property
    def held(self) -> JournalStats:
        """Statistics of all files."""
        held = [file.held for file in self._files]
        return JournalStats(
            sum(each.entries for each in held),
            sum(each.size for each in held),
            min((h.oldest_at for h in held if h.oldest_at is not None), default=None),
        )

    @property
    def waiting(self) -> int:
        """Number of entries that can be read and confirmed."""
        return sum(file.waiting for file in self._files)

    def append(self, entries: Sequence[bytes], *, at: float) -> None:
        """Write entries durably, all or none.

        Raises:
            sqlite3.Error, OSError: no entry was written.
        """
        if self._own is None:
            self._own = JournalFile.create(self._directory)
        try:
            self._own.append(entries, at=at)
        except sqlite3.Error as error:
            self._set_aside_if_corrupt(self._own, error)
            raise

    def read(self, *, limit: int) -> JournalPage | None:
        """Read some of the oldest entries; None at the end of a round or if empty.

        Raises:
            sqlite3.Error: a file cannot be read, and all others have been.
        """
        failure: sqlite3.Error | None = None
        for file in sorted(self._files, key=lambda each: each.held.oldest_at or 0):
            try:
                lines = file.read(limit=limit, max_bytes=_PAGE_BYTES)
            except sqlite3.Error as error:
                if not self._set_aside_if_corrupt(file, error):
                    failure = error  # the other files go first
                continue
            if lines:
                return self._page(file, lines)
        for file in self._files:
            file.after = 0
        if failure is not None:
            raise failure
        return None

    def skip(self, file: JournalFile, seqs: Iterable[int]) -> None:
        """Leave damaged entries to the operator."""
        file.damaged.update(seqs)
        log.error("an entry of the journal is damaged", extra=fields(file=file.path))
        self._leave_if_done(file)

    def delete(self, file: JournalFile, seqs: Iterable[int]) -> None:
        """Delete entries that Postgres has confirmed."""
        file.delete(seqs)
        self._leave_if_done(file)

    def adopt(self, path: Path | None = None) -> int:
        """Adopt files whose owners have ended, or only one; returns their number."""
        before = len(self._adopted)
        mine = {file.path for file in self._files}
        every = sorted(self._directory.glob(f"*{SUFFIX}"))
        for each in every if path is None else [path]:
            if each not in mine:
                self._adopt(each)
        return len(self._adopted) - before

    def close(self) -> None:
        """Close all files; other processes may adopt them."""
        for file in self._files:
            self._leave_if_done(file)
            file.close()
        self._own = None
        self._adopted.clear()

    @property
    def _files(self) -> list[JournalFile]:
        return [*self._adopted, *([self._own] if self._own else [])]

    def _page(
        self, file: JournalFile, lines: Iterable[tuple[int, bytes]]
    ) -> JournalPage:
        page = JournalPage(file, [], [])
        damaged: list[int] = []
        for seq, entry in lines:
            try:
                page.entries.append(decode_entry(entry))
                page.seqs.append(seq)
            except ValueError:
                damaged.append(seq)
        if damaged:
            self.skip(file, damaged)
        return page

    def _adopt(self, path: Path) -> None:
        try:
            file = JournalFile.adopt(path)
        except BlockingIOError:
            return
        except OSError as error:
            self._log_unavailable(path, error)
            return
        self._adopted.append(file)
        try:
            file.open()
        except sqlite3.Error as error:
            if not self._set_aside_if_corrupt(file, error):
                self._forget(file)
                file.close()
                self._log_unavailable(path, error)
            return
        self._leave_if_done(file)

    def _log_unavailable(self, path: Path, error: Exception) -> None:
        """Log once that a file cannot be opened; it is tried again later."""
        if path not in self._unavailable:
            self._unavailable.add(path)
            place = fields(file=path, error=str(error))
            log.error("a journal cannot be opened", extra=place)

    def _set_aside_if_corrupt(self, file: JournalFile, error: sqlite3.Error) -> bool:
        """Set the file aside if it is corrupt; other errors may be temporary."""
        if not is_corrupt(error):
            return False
        self._set_aside(file)
        return True

    def _leave_if_done(self, file: JournalFile) -> None:
        if file.waiting:
            return
        if file.damaged:
            self._set_aside(file)
        else:
            self._forget(file)
            file.remove()

    def _set_aside(self, file: JournalFile) -> None:
        self._forget(file)
        log.error("a journal was set aside", extra=fields(file=file.set_aside()))

    def _forget(self, file: JournalFile) -> None:
        if file is self._own:
            self._own = None
        else:
            self._adopted.remove(file)

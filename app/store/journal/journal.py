"""The journal of one process, with an asynchronous interface."""

import asyncio
import logging
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from app.logs import fields
from app.pipeline.outcome import Entry
from app.store.journal.codec import encode_entry
from app.store.journal.journal_set import FAILURES, JournalPage, JournalSet
from app.store.journal.sqlite import JournalStats

log = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds after a failed append during which the journal counts as unavailable.
_DISTRUST_S = 5.0


def prepare(directory: Path) -> None:
    """Create the private directory, and check that it is writable.

    Raises:
        OSError: the directory cannot be created or written.
    """
    directory.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)
    directory.chmod(0o700)
    with tempfile.TemporaryFile(dir=directory):
        pass


class Journal:
    """Durable queue of entries, each kept until it is confirmed.

    Args:
        directory: made by `prepare`; several processes share it.
        max_bytes: most bytes of entries in all files of this process.
    """

    def __init__(self, directory: Path, *, max_bytes: int) -> None:
        self._files = JournalSet(directory)
        self.max_bytes = max_bytes
        # SQLite blocks on the disk, so it runs in a thread.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._refused_at = float("-inf")

    @property
    def held(self) -> JournalStats:
        """Statistics of all files."""
        return self._files.held

    @property
    def waiting(self) -> int:
        """Number of entries that can be read and confirmed."""
        return self._files.waiting

    @property
    def can_accept(self) -> bool:
        """Whether the last append succeeded or lies long enough in the past."""
        return time.monotonic() - self._refused_at > _DISTRUST_S

    async def append(self, bodies: Sequence[Sequence[Entry]]) -> list[bool]:
        """Write the entries of bodies durably, each body completely or not at all.

        Returns:
            For each body, whether it was written.
        """
        return await self._run(lambda: self._append(bodies))

    async def read(self, *, limit: int) -> JournalPage | None:
        """Read some of the oldest entries; None if there are none or reading fails."""
        try:
            return await self._run(lambda: self._files.read(limit=limit))
        except FAILURES:
            log.exception("the journal cannot be read")
            return None

    async def delete(self, page: JournalPage, seqs: Collection[int]) -> None:
        """Delete entries of a page that Postgres has confirmed."""
        await self._run(lambda: self._files.delete(page.file, seqs))

    async def skip(self, page: JournalPage) -> None:
        """Leave the damaged entries of a page to the operator."""
        await self._run(lambda: self._files.skip(page.file, page.seqs))

    async def adopt(self, path: Path | None = None) -> int:
        """Adopt files whose owners have ended, or only one; returns their number."""
        return await self._run(lambda: self._files.adopt(path))

    async def close(self) -> None:
        """Close all files; another process may adopt them with their entries."""
        await self._run(self._files.close)
        self._thread.shutdown()

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _append(self, bodies: Sequence[Sequence[Entry]]) -> list[bool]:
        room = self.max_bytes - self.held.size
        taken: list[bool] = []
        encoded: list[bytes] = []
        for body in bodies:
            lines = [encode_entry(entry) for entry in body]
            size = sum(map(len, lines))
            taken.append(size <= room)
            if taken[-1]:
                room -= size
                encoded += lines
        if not all(taken):
            self._refuse("the journal is full", size=self.held.size)
        if not encoded:
            return taken
        try:
            self._files.append(encoded, at=time.time())
        except FAILURES as error:
            self._refuse("the journal cannot be written", error=str(error))
            return [False] * len(bodies)
        return taken

    def _refuse(self, message: str, **values: object) -> None:
        if self.can_accept:  # logged once per pause
            log.error(message, extra=fields(**values))
        self._refused_at = time.monotonic()

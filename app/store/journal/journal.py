"""The journal of one process, as the event loop uses it."""

import asyncio
import logging
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from app.logs import fields
from app.store.journal.codec import encode_entry
from app.store.journal.journal_set import FAILURES, JournalSet, Page
from app.store.journal.sqlite import JournalStats
from app.store.write.insert import Entry

log = logging.getLogger(__name__)

T = TypeVar("T")

# So long after a refusal the journal is not counted upon.
_DISTRUST_S = 5.0


def prepare(directory: Path) -> None:
    """Make the directory, for us alone, and see that it can be written.

    Raises:
        OSError: it cannot.
    """
    directory.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)
    directory.chmod(0o700)
    with tempfile.TemporaryFile(dir=directory):
        pass


class Journal:
    """Takes entries durably, and gives them back until they are settled.

    Args:
        directory: from `prepare`; several processes share it.
        max_bytes: of the entries in all files that are ours.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._shelf = JournalSet(directory)
        self._max_bytes = max_bytes
        self._clock = clock
        # SQLite waits for the disk, which must not hold up the event loop.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._refused_at = float("-inf")

    @property
    def held(self) -> JournalStats:
        """What is in all of its files."""
        return self._shelf.held

    @property
    def waiting(self) -> int:
        """How many entries can be read and settled."""
        return self._shelf.waiting

    @property
    def takes(self) -> bool:
        """Whether entries can be appended, as far as is known."""
        return time.monotonic() - self._refused_at > _DISTRUST_S

    async def append(self, bodies: Sequence[Sequence[Entry]]) -> list[bool]:
        """Have the entries of bodies on the disk, each body whole or not at all.

        Returns:
            For each body, whether it is there.
        """
        return await self._run(lambda: self._append(bodies))

    async def read(self, *, limit: int) -> Page | None:
        """Some of the oldest entries; None if none wait, or none can be read."""
        try:
            return await self._run(lambda: self._shelf.read(limit=limit))
        except FAILURES:
            log.exception("the journal cannot be read")
            return None

    async def settle(self, page: Page, seqs: Collection[int]) -> None:
        """Forget those entries of a page: Postgres has confirmed them."""
        await self._run(lambda: self._shelf.settle(page.file, seqs))

    async def skip(self, page: Page) -> None:
        """Leave the entries of a page for an operator: nothing can be made of them."""
        await self._run(lambda: self._shelf.skip(page.file, page.seqs))

    async def adopt(self) -> int:
        """Take over the files whose owners are gone; returns how many."""
        return await self._run(self._shelf.adopt)

    async def close(self) -> None:
        """Give up all files; what is in them waits for whoever adopts them."""
        await self._run(self._shelf.close)
        self._thread.shutdown()

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _append(self, bodies: Sequence[Sequence[Entry]]) -> list[bool]:
        room = self._max_bytes - self.held.size
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
            self._shelf.append(encoded, at=self._clock())
        except FAILURES as error:
            self._refuse("the journal cannot be written", error=str(error))
            return [False] * len(bodies)
        return taken

    def _refuse(self, message: str, **values: object) -> None:
        if self.takes:  # else it has just been said
            log.error(message, extra=fields(**values))
        self._refused_at = time.monotonic()

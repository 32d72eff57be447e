"""Draining the journal: oldest entries first, at the same time as live traffic."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from app.errors import SchemaError
from app.request_errors import UnavailableError
from app.store.journal.circuit_breaker import CircuitBreaker
from app.store.journal.journal import Journal
from app.store.journal.journal_set import JournalPage
from app.store.write.committer import Committer

log = logging.getLogger(__name__)

_MAX_ENTRIES = 500
_FIRST_ENTRIES = 50
_SHRINK = 8
# Seconds between two looks at the journal, and at files without an owner.
_PAUSE_S = 0.2
_LOOK_S = 2.0


class Drain:
    """Moves the journal to Postgres, and closes the circuit breaker when that works.

    Entries are removed from the journal after Postgres has confirmed them. If the
    process ends in between, the next one confirms them again: inserting an event that
    is stored already changes nothing.

    Args:
        journal: emptied; also adopts the files of processes that have ended.
        committer: separate from the writer's, so that neither waits for the other.
        check: raises UnavailableError or SchemaError while nothing can be stored.

    Attributes:
        journal: takes the entries that the writer cannot commit.
        circuit: opened by the writer, closed when a commit succeeds here.
        is_schema_too_old: whether Postgres answers, but with a schema that is too old.
        confirmed: entries that Postgres has confirmed.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        committer: Committer,
        check: Callable[[], Awaitable[None]],
    ) -> None:
        self.journal = journal
        self.circuit = CircuitBreaker()
        self._committer = committer
        self._check = check
        self._limit = _FIRST_ENTRIES
        self._stopping = False
        self.is_schema_too_old = False
        self.confirmed = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the drain's task; needs a running event loop."""
        self._task = asyncio.create_task(self._run(), name="drain")

    async def stop(self, *, within_s: float) -> None:
        """Store as many entries as the time allows; the others stay in their files."""
        deadline = time.monotonic() + within_s
        self._stopping = True
        if self._task is not None:
            await self._task
        while time.monotonic() < deadline and await self.store_page():
            pass

    async def store_page(self) -> bool:
        """Store some waiting entries if Postgres accepts them.

        Returns:
            Whether there may be more.
        """
        has_more = False
        try:
            has_more = await self._store_page()
        finally:
            if not has_more:
                await self._committer.release()
        return has_more

    async def _store_page(self) -> bool:
        if self.circuit.is_open and not await self._is_back():
            return False
        page = await self.journal.read(limit=self._limit)
        if page is None or not page.entries:
            if not self.journal.waiting:
                self.circuit.close()
            return False
        confirmed = await self._commit(page)
        if not confirmed:
            await self._take_less(page)
            return False
        self.circuit.close()
        self.confirmed += len(confirmed)
        self._limit = min(2 * self._limit, _MAX_ENTRIES)
        await self.journal.delete(page, confirmed)
        return True

    async def _run(self) -> None:
        looked_at = float("-inf")
        while not self._stopping:
            began = time.monotonic()
            pause = _PAUSE_S
            try:
                if began - looked_at > _LOOK_S:
                    looked_at = began
                    if await self.journal.adopt():
                        log.warning("a journal was adopted")
                if self.circuit.is_open or self.journal.waiting:
                    more = await self.store_page()
                    # As long as the work took, so that draining takes at most half.
                    pause = min(time.monotonic() - began, pause) if more else pause
            except Exception:
                log.exception("draining failed")
            await asyncio.sleep(pause)

    async def _is_back(self) -> bool:
        try:
            await self._check()
        except (SchemaError, UnavailableError) as error:
            self.is_schema_too_old = isinstance(error, SchemaError)
            if self.circuit.is_open:  # the cause may have changed
                self.circuit.open(
                    error.detail.rstrip(".")
                    if isinstance(error, SchemaError)
                    else error.reason
                )
            return False
        self.is_schema_too_old = False
        return True

    async def _commit(self, page: JournalPage) -> list[int]:
        """Commit a page; returns the places of the entries that were confirmed."""
        try:
            outcomes = await self._committer.commit(page.entries)
        except Exception:
            # A defect, which would otherwise stop the drain for ever.
            log.exception("draining failed")
            if len(page.entries) == 1:
                await self.journal.skip(page)
            return []
        pairs = zip(page.seqs, outcomes, strict=True)
        return [seq for seq, outcome in pairs if outcome is not None]

    async def _take_less(self, page: JournalPage) -> None:
        """Narrow down on the failing entry, and postpone it if it fails alone."""
        self._limit = max(1, len(page.seqs) // _SHRINK)
        if len(page.seqs) == 1 and await self._is_back():
            page.file.after = page.seqs[-1]

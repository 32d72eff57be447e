"""From the journal to Postgres, the oldest first, beside the live traffic."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from app.errors import SchemaError, UnavailableError
from app.store.journal.circuit_breaker import CircuitBreaker
from app.store.journal.journal import Journal
from app.store.journal.journal_set import Page
from app.store.write.committer import Committer

log = logging.getLogger(__name__)

_MAX_ENTRIES = 500
_FIRST_ENTRIES = 50
_SHRINK = 8
# How soon there is another look at the journal, and at orphaned files.
_PAUSE_S = 0.2
_LOOK_S = 2.0


class Drain:
    """Empties the journal whenever Postgres commits, and so closes the circuit.

    What Postgres has confirmed is removed from the journal after that. If a process
    ends in between, the next one has it confirmed again: an insert of what is there
    already changes nothing.

    Args:
        journal: emptied, and given the files of processes that have died.
        committer: apart from the writer's, so that neither waits for the other.
        circuit: closed here, where it is open and a commit succeeds.
        check: raises UnavailableError or SchemaError while nothing can be stored.

    Attributes:
        is_barred: whether Postgres answers, but with a schema that is too old.
        confirmed: entries that Postgres has confirmed.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        committer: Committer,
        circuit: CircuitBreaker,
        check: Callable[[], Awaitable[None]],
    ) -> None:
        self._journal = journal
        self._committer = committer
        self._circuit = circuit
        self._check = check
        self._limit = _FIRST_ENTRIES
        self._stopping = False
        self.is_barred = False
        self.confirmed = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look for what waits; needs a running event loop."""
        self._task = asyncio.create_task(self._run(), name="drain")

    async def stop(self, *, within_s: float) -> None:
        """Store what can be stored in that time; the rest stays in its files."""
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
        if self._circuit.is_open and not await self._is_back():
            return False
        page = await self._journal.read(limit=self._limit)
        if page is None or not page.entries:
            if not self._journal.waiting:
                self._circuit.close()
            return False
        confirmed = await self._settle(page)
        if not confirmed:
            await self._take_less(page)
            return False
        self._circuit.close()
        self.confirmed += len(confirmed)
        self._limit = min(2 * self._limit, _MAX_ENTRIES)
        await self._journal.settle(page, confirmed)
        return True

    async def _run(self) -> None:
        looked_at = float("-inf")
        while not self._stopping:
            began = time.monotonic()
            pause = _PAUSE_S
            try:
                if began - looked_at > _LOOK_S:
                    looked_at = began
                    if await self._journal.adopt():
                        log.warning("a journal was adopted")
                if self._circuit.is_open or self._journal.waiting:
                    more = await self.store_page()
                    # As long as it took, so that at most half of the time is ours.
                    pause = min(time.monotonic() - began, pause) if more else pause
            except Exception:
                log.exception("draining failed")
            await asyncio.sleep(pause)

    async def _is_back(self) -> bool:
        try:
            await self._check()
        except (SchemaError, UnavailableError) as error:
            self.is_barred = isinstance(error, SchemaError)
            if isinstance(error, UnavailableError) and self._circuit.is_open:
                self._circuit.open(error.reason)  # the cause may have changed
            return False
        self.is_barred = False
        return True

    async def _settle(self, page: Page) -> list[int]:
        """Commit what can be; returns the places of what Postgres has confirmed."""
        try:
            outcomes = await self._committer.commit(page.entries)
        except Exception:
            # A defect, which would else be met for ever.
            log.exception("draining failed")
            if len(page.entries) == 1:
                await self._journal.skip(page)
            return []
        settled = zip(page.seqs, outcomes, strict=True)
        return [seq for seq, outcome in settled if outcome is not None]

    async def _take_less(self, page: Page) -> None:
        """Find what fails, and pass over it where it fails alone."""
        self._limit = max(1, len(page.seqs) // _SHRINK)
        if len(page.seqs) == 1 and await self._is_back():
            page.file.postpone(page.seqs[-1])

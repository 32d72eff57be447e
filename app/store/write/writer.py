"""Group commit: one writer for each process, one transaction for what has gathered.

A request submits its entries, and is told what became of them. The writer takes what is
there, without waiting for more, commits it, and only then tells: a response never runs
ahead of the disk. What is not confirmed in time goes to the journal, if
there is one, and is answered as `buffered` once it is there.
"""

import asyncio
import logging
from collections import deque

from app.errors import UnavailableError
from app.store.journal.circuit_breaker import CircuitBreaker
from app.store.journal.fallback import OfflineBuffer
from app.store.journal.journal import Journal
from app.store.write.committer import Committer
from app.store.write.insert import Entry, Outcome
from app.store.write.submission import Submission, Waiter

log = logging.getLogger(__name__)

# Entries in one transaction: larger ones gain nothing and hold their locks longer.
# A body is never split, so a transaction holds fewer than this and one body more.
MAX_BATCH = 1_000
# Likewise of the journal, which has no locks: whoever waited for Postgres in vain
# has little time left.
MAX_JOURNALED = 10_000


class Writer:
    """Takes submissions and commits them, in order of arrival.

    Whoever submits bounds what is in flight (`app.ingest.admission`), and may stop
    waiting (`Waiter.is_done`); what has not begun by then is dropped.

    Args:
        committer: what commits; one commit is under way at a time.
        outage: its journal takes what is not confirmed in time, and its circuit is
            opened then; while it is open, nothing is committed.
    """

    def __init__(
        self, committer: Committer, *, outage: OfflineBuffer | None = None
    ) -> None:
        self._committer = committer
        self._journal = outage.journal if outage else None
        self._circuit = outage.circuit if outage else CircuitBreaker()
        self._waiting: deque[Submission] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many bodies are in line."""
        return len(self._waiting)

    def start(self) -> None:
        """Begin to write; needs a running event loop."""
        self._task = asyncio.create_task(self._run(), name="writer")

    async def stop(self) -> None:
        """Write what is waiting, then end; submissions after this are refused."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task

    def submit(self, entries: list[Entry], waiter: Waiter) -> None:
        """Hand over the entries of one body.

        Args:
            entries: in the order sent.
            waiter: told once what became of them; not where this raises.

        Raises:
            UnavailableError: the writer is stopping.
        """
        if self._closing:
            raise UnavailableError("The service is stopping; send this again.")
        at = asyncio.get_running_loop().time()
        self._waiting.append(Submission(entries, waiter, at))
        self._wake.set()

    async def _run(self) -> None:
        while self._waiting or not self._closing:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            batch = self._take()
            if batch:
                await self._write(batch)

    def _take(self) -> list[Submission]:
        batch: list[Submission] = []
        size = 0
        limit = MAX_JOURNALED if self._circuit.is_open else MAX_BATCH
        while self._waiting and size < limit:
            submission = self._waiting.popleft()
            if submission.waiter.is_done:
                submission.drop()
                continue
            batch.append(submission)
            size += len(submission.entries)
        return batch

    async def _write(self, batch: list[Submission]) -> None:
        entries = [entry for submission in batch for entry in submission.entries]
        outcomes: list[Outcome | None] = [None] * len(entries)
        journal = self._journal
        is_away = self._circuit.is_open
        try:
            if not is_away:
                outcomes = await self._committer.settle(
                    entries, waited_s=self._waited_s(batch)
                )
        except Exception:
            # A defect: without this the writer would end, and every sender wait.
            log.exception("commit failed")
            journal = None
        start = 0
        unconfirmed: list[tuple[Submission, list[Outcome | None]]] = []
        for submission in batch:
            end = start + len(submission.entries)
            share = outcomes[start:end]
            if journal is not None and None in share and not submission.waiter.is_done:
                unconfirmed.append((submission, share))
            else:
                submission.resolve(share)
            start = end
        if journal is not None and None in outcomes:
            await self._buffer(journal, unconfirmed, opens=not is_away)

    def _waited_s(self, batch: list[Submission]) -> float:
        """Whoever waited behind a slow commit is soon at the end of its patience.

        Without a journal there is nothing that would serve it better than to wait on.
        """
        if self._journal is None:
            return 0.0
        return asyncio.get_running_loop().time() - batch[0].at

    async def _buffer(
        self,
        journal: Journal,
        unconfirmed: list[tuple[Submission, list[Outcome | None]]],
        *,
        opens: bool,
    ) -> None:
        bodies = [submission.unsettled(share) for submission, share in unconfirmed]
        taken = [False] * len(bodies)
        try:
            taken = await journal.append(bodies)
        except Exception:
            log.exception("the journal failed")
        if opens:
            # Only now: a drain that finds Postgres well shall find them, too. And
            # only for a commit that failed: what came here because the circuit was
            # open says nothing of Postgres, and a drain may just have closed it.
            self._circuit.open()
        for (submission, share), is_in in zip(unconfirmed, taken, strict=True):
            submission.resolve(share, buffered=is_in)

"""Group commit: one writer in each process, one transaction for all waiting entries.

A request submits its entries and is given their outcomes. The writer takes the
submissions that wait, without waiting for more, and gives the outcomes after the
commit, while Postgres works on the next one. Entries that Postgres does not confirm in
time go to the journal, if there is one, and are answered as `buffered` once they are on
its disk.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from app.pipeline.outcome import Entry, Outcome
from app.request_errors import UnavailableError
from app.store.journal.circuit_breaker import CircuitBreaker
from app.store.journal.drain import Drain
from app.store.journal.journal import Journal
from app.store.write.committer import Committer
from app.store.write.submission import Submission, Waiter

log = logging.getLogger(__name__)

# Entries in one transaction: larger ones gain nothing and hold their locks longer.
# A body is never split, so a transaction may exceed this by one body.
MAX_BATCH = 1_000
# Batch limit for the journal. Larger, because SQLite holds no row locks and these
# requests are close to their deadline.
MAX_JOURNALED = 10_000
# Submissions that always fit into one transaction. Above it, a transaction takes half
# of those in circulation. If it took all of them, Postgres and this process would work
# in turn, because their senders wait for this transaction and nothing else arrives.
MIN_TAKEN = 32


class Refusal(NamedTuple):
    """A commit that was not confirmed, and whose events no journal took.

    Attributes:
        at: monotonic seconds.
        reason: cause, such as `password refused`.
    """

    at: float
    reason: str


class Writer:
    """Commits submissions in order of arrival.

    The callers bound the entries in flight (`app.ingest.load`). A submission whose
    waiter has stopped waiting (`Waiter.is_done`) before its commit begins is dropped.

    Args:
        committer: used for one commit at a time.
        drain: its journal takes the entries that are not confirmed in time, and its
            circuit breaker is opened then; while it is open, nothing is committed.

    Attributes:
        drain: stores the entries of the journal; None without one.
        refusal: the last commit, if its events were refused.
    """

    def __init__(self, committer: Committer, *, drain: Drain | None = None) -> None:
        self._committer = committer
        self.drain = drain
        self._journal = drain.journal if drain else None
        self._circuit = drain.circuit if drain else CircuitBreaker()
        self._waiting: deque[Submission] = deque()
        # Submissions in the last transaction.
        self._taken = 0
        self._wake = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self.refusal: Refusal | None = None

    @property
    def waiting(self) -> int:
        """Number of bodies in the queue."""
        return len(self._waiting)

    def start(self) -> None:
        """Start the writer's task; needs a running event loop."""
        self._task = asyncio.create_task(self._run(), name="writer")

    async def stop(self) -> None:
        """Write the queue, then end; later submissions are refused."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
        await self._committer.release()

    def submit(self, entries: list[Entry], waiter: Waiter) -> None:
        """Queue the entries of one body.

        Args:
            entries: in the order sent.
            waiter: given the outcomes once, unless this raises.

        Raises:
            UnavailableError: the writer is stopping.
        """
        if self._closing:
            raise UnavailableError("The service is stopping; send this again.")
        self._waiting.append(Submission(entries, waiter, time.monotonic()))
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
        limit = MAX_BATCH
        most = max(MIN_TAKEN, (self._taken + len(self._waiting) + 1) // 2)
        if self._circuit.is_open:
            limit = most = MAX_JOURNALED
        while self._waiting and size < limit and len(batch) < most:
            submission = self._waiting.popleft()
            if submission.waiter.is_done:
                submission.deliver(None)
                continue
            batch.append(submission)
            size += len(submission.entries)
        self._taken = len(batch)
        return batch

    async def _write(self, batch: list[Submission]) -> None:
        entries = [entry for submission in batch for entry in submission.entries]
        outcomes: list[Outcome | None] = [None] * len(entries)
        journal = self._journal
        is_away = self._circuit.is_open
        try:
            if not is_away:
                outcomes = await self._committer.commit(
                    entries, waited_s=self._waited_s(batch)
                )
        except Exception:
            # A defect. Without this the writer would end and every sender would wait.
            log.exception("commit failed")
            journal = None
        if journal is not None and None in outcomes:
            await self._buffer(journal, batch, outcomes, opens=not is_away)
        else:
            self._remember(is_refused=None in outcomes)
            # Not now: Postgres works on the next transaction meanwhile.
            asyncio.get_running_loop().call_soon(_resolve, batch, outcomes)

    def _remember(self, *, is_refused: bool) -> None:
        reason = self._committer.failure
        self.refusal = Refusal(time.monotonic(), reason) if is_refused else None

    def _waited_s(self, batch: list[Submission]) -> float:
        """Time that the oldest submission has waited, to be taken off its deadline.

        Zero without a journal: then waiting longer is the only chance to store it.
        """
        if self._journal is None:
            return 0.0
        return time.monotonic() - batch[0].at

    async def _buffer(
        self,
        journal: Journal,
        batch: list[Submission],
        outcomes: list[Outcome | None],
        *,
        opens: bool,
    ) -> None:
        """Write to the journal what Postgres did not confirm."""
        unconfirmed: list[tuple[Submission, list[Outcome | None]]] = []
        for submission, results in _parts(batch, outcomes):
            if None in results and not submission.waiter.is_done:
                unconfirmed.append((submission, results))
            else:
                submission.resolve(results)
        bodies = [
            submission.unconfirmed(results) for submission, results in unconfirmed
        ]
        taken = [False] * len(bodies)
        try:
            taken = await journal.append(bodies)
        except Exception:
            log.exception("the journal failed")
        self._remember(is_refused=not all(taken))
        if opens:
            # After the append, so that a drain which finds Postgres back also finds
            # these entries. And only after a failed commit: entries that came here
            # because the circuit breaker was open prove nothing about Postgres, and a
            # drain may just have closed it.
            self._circuit.open(self._committer.failure)
        for (submission, results), is_in in zip(unconfirmed, taken, strict=True):
            submission.resolve(results, buffered=is_in)


def _resolve(batch: list[Submission], outcomes: list[Outcome | None]) -> None:
    for submission, results in _parts(batch, outcomes):
        submission.resolve(results)


def _parts(
    batch: list[Submission], outcomes: list[Outcome | None]
) -> Iterator[tuple[Submission, list[Outcome | None]]]:
    """Each submission with its share of the outcomes."""
    start = 0
    for submission in batch:
        end = start + len(submission.entries)
        yield submission, outcomes[start:end]
        start = end

"""Commits entries within a deadline, and isolates those that Postgres refuses.

Only an error of the data is blamed on an entry. Every other failure (a lost connection,
a deadlock, a full disk, a missing partition) is retried until the deadline.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from app.logs import fields
from app.metrics.catalog import COMMIT_EVENTS, COMMIT_FAILURES, COMMIT_SECONDS
from app.metrics.counters import Metrics
from app.pipeline.outcome import Entry, EventStatus, Outcome
from app.pipeline.record import Record
from app.pipeline.rejection import Rejection
from app.store.db_errors import DATABASE_ERRORS, is_data_error, lacks_partition
from app.store.engine import single_statement
from app.store.operator.causes import cause_of, sqlstate_of
from app.store.quarantine.caps import ID_CONFLICT, UNSTORABLE, Quarantine, reject_record
from app.store.write.insert import Claim, claim_and_store, read_claims, resolve_outcomes
from app.store.write.kept_connection import KeptConnection
from app.store.write.partitions import ENSURE_PARTITIONS

T = TypeVar("T")

log = logging.getLogger(__name__)

_RETRY_PAUSES_S = (0.01, 0.05, 0.2)
# Share of the commit timeout that is granted however long an entry has waited already.
_MIN_BUDGET = 0.1


class Committer:
    """Commits entries, each exactly once.

    Its owner commits one batch at a time, and calls `release` when there is nothing
    more to commit for now.

    Args:
        engine: at READ COMMITTED; one of its connections is kept.
        timeout_s: limit of one call of `commit`; the connection is closed then, so
            that a frozen Postgres delays nobody.
        quarantine: keeps rejected events; by default with the usual caps.
        metrics: count each commit; by default a counter of its own.
        import_id: the import that all records come from, if any.

    Attributes:
        failure: reason why the last failed commit was not confirmed.
    """

    failure = "no answer in time"

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        timeout_s: float,
        quarantine: Quarantine | None = None,
        metrics: Metrics | None = None,
        import_id: UUID | None = None,
    ) -> None:
        self._connection = KeptConnection(engine)
        self._timeout_s = timeout_s
        self._quarantine = quarantine or Quarantine()
        self._metrics = metrics or Metrics()
        self._import_id = import_id
        self._bucket = 0

    async def commit(
        self, entries: list[Entry], *, waited_s: float = 0.0
    ) -> list[Outcome | None]:
        """Commit entries; if Postgres refuses data, isolate it by halves.

        Args:
            entries: in the order of their arrival.
            waited_s: how long one of them has waited already. It is taken off the
                timeout, of which a share always remains.

        Returns:
            An outcome for each entry, in the same order. None if no commit was
            confirmed: the entry may be stored or not, and sending it again is safe.
        """
        timeout_s = max(self._timeout_s - waited_s, _MIN_BUDGET * self._timeout_s)
        deadline = asyncio.get_running_loop().time() + timeout_s
        outcomes = await self._store_or_split(entries, deadline)
        await self._quarantine_conflicts(entries, outcomes, deadline)
        return outcomes

    async def release(self) -> None:
        """Return the connection to the pool; the next commit takes one again."""
        await self._connection.release()

    async def _store_or_split(
        self, entries: list[Entry], deadline: float
    ) -> list[Outcome | None]:
        began = time.perf_counter()
        try:
            outcomes = await self._store(entries, deadline)
        except DATABASE_ERRORS as error:
            if not is_data_error(error):
                self._count_failure(error, len(entries))
                return [None] * len(entries)
            if len(entries) == 1:
                sqlstate = sqlstate_of(error)
                return [await self._quarantine_poison(entries[0], sqlstate, deadline)]
        else:
            self._metrics.observe(COMMIT_EVENTS, len(entries))
            self._metrics.observe(COMMIT_SECONDS, time.perf_counter() - began)
            return outcomes
        half = len(entries) // 2
        first = await self._store_or_split(entries[:half], deadline)
        if None in first:
            # Postgres is failing: trying the other half would take as long again.
            return [*first, *[None] * (len(entries) - half)]
        return [*first, *await self._store_or_split(entries[half:], deadline)]

    async def _store(
        self, entries: list[Entry], deadline: float
    ) -> list[Outcome | None]:
        """Commit records and rejections together; the conflicts are still to be kept.

        Once the claims are committed, nothing is tried again that would report an
        event stored here as a duplicate of itself.
        """
        records = [entry for entry in entries if isinstance(entry, Record)]
        rejections = [entry for entry in entries if isinstance(entry, Rejection)]

        async def claim(driver: asyncpg.Connection) -> tuple[set[str], list[bool]]:
            if not rejections:
                async with single_statement(driver):
                    return await self._claim(driver, records), []
            async with driver.transaction():
                known = await self._claim(driver, records)
                return known, await self._quarantine.keep(driver, rejections)

        known, kept = await self._retry(claim, deadline)
        claims = await self._read_claims(known, deadline)
        outcomes = resolve_outcomes(records, known, claims)
        if not rejections:
            return outcomes
        stored, rejected = iter(outcomes), iter(kept)
        return [
            next(stored)
            if isinstance(entry, Record)
            else Outcome(EventStatus.REJECTED, errors=entry.errors, kept=next(rejected))
            for entry in entries
        ]

    async def _claim(
        self, driver: asyncpg.Connection, records: list[Record]
    ) -> set[str]:
        return await claim_and_store(driver, records, import_id=self._import_id)

    async def _read_claims(self, known: set[str], deadline: float) -> dict[str, Claim]:
        """Read the claims of known ids; none if Postgres fails until the deadline."""
        if not known:
            return {}

        async def read(driver: asyncpg.Connection) -> dict[str, Claim]:
            async with single_statement(driver):
                return await read_claims(driver, known, bucket=self._bucket)

        try:
            return await self._retry(read, deadline)
        except DATABASE_ERRORS as error:
            self._count_failure(error, len(known))
            return {}

    async def _quarantine_conflicts(
        self,
        entries: list[Entry],
        outcomes: list[Outcome | None],
        deadline: float,
    ) -> None:
        """Keep the records that conflict with a stored event, and note which are kept.

        The other records of the batch are committed and stay so, however this ends.
        """
        conflicts: dict[int, Entry] = {
            place: reject_record(entry, ID_CONFLICT)
            for place, (entry, outcome) in enumerate(
                zip(entries, outcomes, strict=True)
            )
            if outcome is not None and outcome.differs and isinstance(entry, Record)
        }
        if not conflicts:
            return
        found = await self._store_or_split([*conflicts.values()], deadline)
        for place, rejected in zip(conflicts, found, strict=True):
            outcome = outcomes[place]
            outcomes[place] = (
                outcome and rejected and outcome._replace(kept=rejected.kept)
            )

    async def _quarantine_poison(
        self, entry: Entry, sqlstate: str, deadline: float
    ) -> Outcome | None:
        log.error("event refused by the database", extra=fields(sqlstate=sqlstate))
        if not isinstance(entry, Record):
            return Outcome(EventStatus.REJECTED, errors=entry.errors, kept=False)
        rejection = reject_record(entry, UNSTORABLE)
        [outcome] = await self._store_or_split([rejection], deadline)
        return outcome and outcome._replace(rejection_id=rejection.id)

    async def _retry(
        self, work: Callable[[asyncpg.Connection], Awaitable[T]], deadline: float
    ) -> T:
        """Work on the kept connection; again after a failure, until the deadline."""
        loop = asyncio.get_running_loop()
        pauses = iter(_RETRY_PAUSES_S)
        has_made_partitions = False
        first: Exception | None = None
        while True:
            try:
                async with self._connection.until(deadline) as driver:
                    return await work(driver)
            except DATABASE_ERRORS as error:
                self._quarantine.forget()
                pause = next(pauses, _RETRY_PAUSES_S[-1])
                if is_data_error(error):
                    raise
                # An attempt that is cut at the deadline has no cause of its own, so
                # the cause is that of an earlier one (a lock, say).
                first = first or (error if sqlstate_of(error) else None)
                if loop.time() + pause >= deadline:
                    raise first or error from None
                if lacks_partition(error):
                    if has_made_partitions:
                        raise
                    has_made_partitions = True
                    await self._make_partitions(deadline)
                    continue
            await asyncio.sleep(pause)  # time for a rival transaction to end

    async def _make_partitions(self, deadline: float) -> None:
        """Make the missing partition; if that fails, so does the retry after it."""
        log.warning("a partition was missing")
        try:
            async with (
                self._connection.until(deadline) as driver,
                single_statement(driver),
            ):
                await driver.execute(ENSURE_PARTITIONS)
        except DATABASE_ERRORS as error:
            log.warning(
                "the partition could not be made",
                extra=fields(sqlstate=sqlstate_of(error)),
            )

    def _count_failure(self, error: Exception, entries: int) -> None:
        cause = cause_of(error)
        self.failure = cause.reason
        self._metrics.add(COMMIT_FAILURES, cause.kind)
        log.warning(
            "commit failed",
            extra=fields(
                reason=cause.reason,
                error=type(error).__name__,
                sqlstate=sqlstate_of(error),
                entries=entries,
            ),
        )

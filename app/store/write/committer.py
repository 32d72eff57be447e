"""One transaction, its retries and its deadline; and what to do with poison.

Only an error of the data is the data's fault. Everything else (a lost connection, a
deadlock, a full disk, a missing partition) is tried again while there is time, and
is nobody's fault but the moment's.
"""

import asyncio
import logging
import time
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from app.logs import fields
from app.metrics.board import Board
from app.metrics.catalog import COMMIT_FAILURES
from app.metrics.layout import Layout
from app.metrics.meters import Meters
from app.pipeline.record import Record
from app.store.db_errors import (
    DATABASE_ERRORS,
    classify,
    is_data_error,
    lacks_partition,
    sqlstate_of,
)
from app.store.quarantine.caps import UNSTORABLE, Quarantine, reject_record
from app.store.transaction import transaction
from app.store.write.insert import Entry, Outcome, store
from app.store.write.partitions import ensure_partitions

log = logging.getLogger(__name__)

_RETRY_PAUSES_S = (0.01, 0.05, 0.2)
# Of the time for a commit: what there is of it however long somebody has waited.
_LEAST_SHARE = 0.1


class Committer:
    """Commits entries, each exactly once, and isolates what Postgres refuses.

    Args:
        engine: at READ COMMITTED.
        timeout_s: for all that it takes to settle entries; then the connection is
            cut, so that a frozen Postgres holds nobody.
        quarantine: keeps what is rejected; by default with the usual caps.
        meters: count each commit; by default for nobody.
        import_id: the import that all records come from, if any.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        timeout_s: float,
        quarantine: Quarantine | None = None,
        meters: Meters | None = None,
        import_id: UUID | None = None,
    ) -> None:
        self._engine = engine
        self._timeout_s = timeout_s
        self._quarantine = quarantine or Quarantine()
        self._meters = meters or Meters(Board(Layout()))
        self._import_id = import_id

    async def settle(
        self, entries: list[Entry], *, waited_s: float = 0.0
    ) -> list[Outcome | None]:
        """Commit entries; where Postgres refuses data, isolate it by halves.

        Args:
            entries: in the order of their arrival.
            waited_s: how long one of them has waited already, which leaves so much
                less time; there is always some.

        Returns:
            An outcome for each entry, in the same order; None where no commit was
            confirmed: such an entry may be in or not, and sending it again is safe.
        """
        timeout_s = max(self._timeout_s - waited_s, _LEAST_SHARE * self._timeout_s)
        deadline = asyncio.get_running_loop().time() + timeout_s
        return await self._settle(entries, deadline)

    async def _settle(
        self, entries: list[Entry], deadline: float
    ) -> list[Outcome | None]:
        began = time.perf_counter()
        try:
            outcomes = await self._commit_in_time(entries, deadline)
        except DATABASE_ERRORS as error:
            if not is_data_error(error):
                self._meters.add(COMMIT_FAILURES, classify(error))
                log.warning(
                    "commit failed",
                    extra=fields(
                        error=type(error).__name__,
                        sqlstate=sqlstate_of(error),
                        entries=len(entries),
                    ),
                )
                return [None] * len(entries)
            if len(entries) == 1:
                sqlstate = sqlstate_of(error)
                return [await self._give_up_on(entries[0], sqlstate, deadline)]
        else:
            self._meters.count_commit(len(entries), time.perf_counter() - began)
            return [*outcomes]
        half = len(entries) // 2
        first = await self._settle(entries[:half], deadline)
        if None in first:
            # The moment's fault: asking for each of the rest would wait each time.
            return [*first, *[None] * (len(entries) - half)]
        return [*first, *await self._settle(entries[half:], deadline)]

    async def _give_up_on(
        self, entry: Entry, sqlstate: str, deadline: float
    ) -> Outcome | None:
        log.error("event refused by the database", extra=fields(sqlstate=sqlstate))
        if not isinstance(entry, Record):
            return Outcome("rejected", errors=entry.errors, kept=False)
        rejection = reject_record(entry, UNSTORABLE)
        [outcome] = await self._settle([rejection], deadline)
        return outcome and outcome._replace(rejection_id=rejection.id)

    async def _commit_in_time(
        self, entries: list[Entry], deadline: float
    ) -> list[Outcome]:
        loop = asyncio.get_running_loop()
        pauses = iter(_RETRY_PAUSES_S)
        mended_partition = False
        while True:
            try:
                async with transaction(self._engine, deadline=deadline) as connection:
                    return await store(
                        connection,
                        entries,
                        quarantine=self._quarantine,
                        import_id=self._import_id,
                    )
            except DATABASE_ERRORS as error:
                self._quarantine.forget()
                pause = next(pauses, _RETRY_PAUSES_S[-1])
                if is_data_error(error) or loop.time() + pause >= deadline:
                    raise
                if lacks_partition(error):
                    if mended_partition:
                        raise
                    mended_partition = True
                    await self._mend_partitions(deadline)
                    continue
            await asyncio.sleep(pause)  # whoever is in the way has to have time to go

    async def _mend_partitions(self, deadline: float) -> None:
        """Make what is missing; where that fails, the retry says what it was for."""
        log.warning("a partition was missing")
        try:
            async with transaction(self._engine, deadline=deadline) as connection:
                await ensure_partitions(connection)
        except DATABASE_ERRORS as error:
            log.warning(
                "the partition could not be made",
                extra=fields(sqlstate=sqlstate_of(error)),
            )

"""Quarantine of rejected events, with a cap for each source.

A broken sender can send for ever, so each source has a cap. Events above it are
answered `kept: false` and counted in `rejected_drops`.
"""

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from operator import itemgetter

import asyncpg

from app.metrics.catalog import QUARANTINE_FILL
from app.metrics.counters import Metrics
from app.pipeline.issues import ErrorCode, Issue
from app.pipeline.record import Record, RequestContext
from app.pipeline.rejection import Rejection, reject
from app.store.quarantine.statements import (
    QuarantineUsage,
    count_drops,
    insert_rejected,
    known_rejected,
    measure_rejected,
)

# Reasons to reject an event that passed validation.
ID_CONFLICT = Issue(
    ErrorCode.ID_CONFLICT,
    "",
    "An event with this id and other content is stored already.",
)
UNSTORABLE = Issue(ErrorCode.UNSTORABLE, "", "The database refused this event.")


def reject_record(record: Record, error: Issue) -> Rejection:
    """Turn a record that cannot be stored into a rejection."""
    request_context = RequestContext(
        record.source, record.received_at, record.request_id
    )
    return reject(
        record.sent,
        request_context=request_context,
        errors=[error],
        warnings=record.warnings,
        message_id=record.message_id,
    )


class Quarantine:
    """Keeps rejected events up to a cap for each source.

    The usage of a source is read from Postgres every `trust_s` seconds and updated in
    memory in between. One worker is exact; several together exceed the cap by at most
    the events that the others keep within that time.

    Args:
        max_events: most events per source; 0 keeps none.
        max_bytes: most bytes of kept payloads per source. Other columns, mostly the
            errors, are not counted.
        trust_s: seconds before the usage is read again.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        max_events: int = 100_000,
        max_bytes: int = 256 * 1024 * 1024,
        trust_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cap = QuarantineUsage(max_events, max_bytes)
        self._trust_s = trust_s
        self._clock = clock
        self._worker = secrets.token_hex(8)
        # Usage by source. Operators create sources, so there are few.
        self._held: dict[str, QuarantineUsage] = {}
        self._trusted_until: dict[str, float] = {}

    async def keep(
        self, driver: asyncpg.Connection, rows: Sequence[Rejection]
    ) -> list[bool]:
        """Insert the rows that fit under the cap, and count the others as dropped.

        Args:
            driver: connection in the transaction of the rows.
            rows: in order of arrival. Of rows with the same id the first is inserted.

        Returns:
            For each row, whether it is in quarantine, by this call or an earlier one.
        """
        if not rows:
            return []
        await self._measure(driver, {row.source for row in rows})
        distinct: dict[str, Rejection] = {}
        for row in rows:
            distinct.setdefault(row.id, row)
        known: set[str] = set()
        chosen = self._choose(distinct.values())
        if len(chosen) < len(distinct):
            known = await known_rejected(driver, distinct)
            chosen = self._choose(
                row for row in distinct.values() if row.id not in known
            )
        for id_ in await insert_rejected(driver, list(chosen.values())):
            row = chosen[id_]
            self._held[row.source] = self._held[row.source].plus(row)
        known |= chosen.keys()
        dropped = [row for row in rows if row.id not in known]
        await count_drops(driver, dropped, worker=self._worker)
        return [row.id in known for row in rows]

    def fill(self) -> Iterator[tuple[str, float]]:
        """Each source of a rejected event, with the part of the cap that it uses."""
        most_events, most_bytes = self._cap
        for source, held in self._held.items():
            by_bytes = held.payload_bytes / (most_bytes or 1)
            yield source, max(held.events / (most_events or 1), by_bytes)

    def forget(self) -> None:
        """Read the usage again next time, because a transaction has failed."""
        self._trusted_until.clear()

    async def _measure(self, driver: asyncpg.Connection, sources: set[str]) -> None:
        now = self._clock()
        stale = [s for s in sources if now >= self._trusted_until.get(s, now)]
        if not stale:
            return
        self._held |= await measure_rejected(driver, stale, limit=self._cap.events)
        self._trusted_until |= dict.fromkeys(stale, now + self._trust_s)

    def _choose(self, rows: Iterable[Rejection]) -> dict[str, Rejection]:
        """The rows that fit under the cap, by id."""
        held = dict(self._held)
        chosen: dict[str, Rejection] = {}
        for row in rows:
            events, payload_bytes = after = held[row.source].plus(row)
            if events <= self._cap.events and payload_bytes <= self._cap.payload_bytes:
                held[row.source] = after
                chosen[row.id] = row
        return chosen


def record_fill(quarantines: Iterable[Quarantine], metrics: Metrics) -> None:
    """Set the gauge of each source to its fill in the fullest quarantine.

    Sources beyond the limit of the metrics share a series: the fullest one counts.
    """
    fills = chain.from_iterable(each.fill() for each in quarantines)
    for source, part in sorted(fills, key=itemgetter(1)):
        metrics.set(QUARANTINE_FILL, source, to=part)

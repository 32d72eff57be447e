"""What has just arrived, stored and rejected, for whoever watches.

`stored_at` is when a transaction began, and a transaction may commit seconds after
one that began later. So a look reads again all that is not settled yet, but for what
it has read already; what is older than any transaction may last is settled.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import UnavailableError
from app.store.db_errors import DATABASE_ERRORS
from app.store.read.arrival import Arrival, rejected_arrival, stored_arrival
from app.store.transaction import transaction

# How far back the first look goes, and one after Postgres was away.
HISTORY = timedelta(hours=1)

# Both are answered by the index on stored_at, backwards, until the limit is reached.
STORED = text("""
SELECT
    id, stored_at, received_at, source, event, user_id, group_id, "timestamp",
    CAST(warnings AS text) AS warnings
FROM events
WHERE stored_at > CAST(:since AS timestamptz) AND id <> ALL(CAST(:seen AS uuid[]))
ORDER BY stored_at DESC
LIMIT CAST(:limit AS integer)
""")
REJECTED = text("""
SELECT
    id, stored_at, received_at, source, event, reason,
    CAST(warnings AS text) AS warnings,
    CASE WHEN payload_bytes <= 8192 THEN payload END AS payload
FROM rejected_events
WHERE stored_at > CAST(:since AS timestamptz) AND id <> ALL(CAST(:seen AS uuid[]))
ORDER BY stored_at DESC
LIMIT CAST(:limit AS integer)
""")
COUNT = text("""
SELECT
    date_trunc('minute', stored_at) AS minute,
    count(*) FILTER (WHERE accepted) AS stored,
    count(*) FILTER (WHERE NOT accepted) AS rejected
FROM (
    SELECT stored_at, true AS accepted FROM events
    WHERE stored_at > CAST(:since AS timestamptz)
        AND stored_at <= CAST(:until AS timestamptz)
    UNION ALL
    SELECT stored_at, false FROM rejected_events
    WHERE stored_at > CAST(:since AS timestamptz)
        AND stored_at <= CAST(:until AS timestamptz)
) AS arrived
GROUP BY minute
""")
_NOW = text("SELECT now()")


class Counts(NamedTuple):
    """What arrived in a minute."""

    stored: int
    rejected: int

    def plus(self, other: "Counts") -> "Counts":
        """Both together."""
        return Counts(self.stored + other.stored, self.rejected + other.rejected)


class Look(NamedTuple):
    """What one look found.

    Attributes:
        arrivals: that no look found before, the newest first.
        since: what had arrived until then was settled before this look.
        settled: what has arrived until then is settled now.
        minutes: what arrived between these two, by the minute.
        unread: how many of these no look has read, because there were too many.
    """

    arrivals: list[Arrival]
    since: datetime
    settled: datetime
    minutes: dict[datetime, Counts]
    unread: int


class Arrivals:
    """Looks at what arrives, each event once.

    Args:
        engine: apart from the writer's, with few connections.
        settle_s: longer than any transaction that stores events.
        timeout_s: for one look.
    """

    def __init__(
        self, engine: AsyncEngine, *, settle_s: float, timeout_s: float = 1.0
    ) -> None:
        self._engine = engine
        self._settle = timedelta(seconds=settle_s)
        self._timeout_s = timeout_s
        self._settled: datetime | None = None
        # What of the unsettled has been read, so that it is not read again.
        self._stored: dict[UUID, datetime] = {}
        self._rejected: dict[UUID, datetime] = {}

    def forget(self) -> None:
        """Begin anew with the next look."""
        self._settled = None
        self._stored.clear()
        self._rejected.clear()

    async def look(self, *, limit: int) -> Look:
        """Find what is new; the first look finds what the last hour brought.

        Args:
            limit: the most that is read of each kind; the newest come first, and
                the rest may come with the next look, until it is settled.

        Raises:
            UnavailableError: the database did not answer.
        """
        async with self._transaction() as connection:
            now: datetime = (await connection.execute(_NOW)).scalar_one()
            until = now - self._settle
            since = max(self._settled or until, until - HISTORY)
            until = max(since, until)
            start = since if self._settled else since - HISTORY
            stored = await _read(connection, STORED, start, self._stored, limit)
            rejected = await _read(connection, REJECTED, start, self._rejected, limit)
            minutes = await _count(connection, since, until)
        # Only now: a look that failed half-way has found nothing.
        self._settled = until
        self._stored |= {row.id: row.stored_at for row in stored}
        self._rejected |= {row.id: row.stored_at for row in rejected}
        arrivals = [*map(stored_arrival, stored), *map(rejected_arrival, rejected)]
        arrivals.sort(key=lambda arrival: arrival.stored_at, reverse=True)
        read = _drop(self._stored, since, until) + _drop(self._rejected, since, until)
        unread = sum(map(sum, minutes.values())) - read
        return Look(arrivals, since, until, minutes, unread)

    async def count(self, since: datetime, until: datetime) -> dict[datetime, Counts]:
        """Count what arrived after `since` and until `until`, by the minute.

        Raises:
            UnavailableError: the database did not answer.
        """
        async with self._transaction() as connection:
            return await _count(connection, since, until)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        try:
            async with transaction(self._engine, deadline=deadline) as connection:
                yield connection
        except DATABASE_ERRORS:
            raise UnavailableError("The database does not answer.") from None


async def _read(
    connection: AsyncConnection,
    query: TextClause,
    since: datetime,
    seen: Iterable[UUID],
    limit: int,
) -> Sequence[Row[Any]]:
    parameters = {"since": since, "seen": list(seen), "limit": limit}
    return (await connection.execute(query, parameters)).all()


async def _count(
    connection: AsyncConnection, since: datetime, until: datetime
) -> dict[datetime, Counts]:
    rows = await connection.execute(COUNT, {"since": since, "until": until})
    return {minute: Counts(stored, rejected) for minute, stored, rejected in rows}


def _drop(seen: dict[UUID, datetime], since: datetime, until: datetime) -> int:
    """Forget what is settled; returns how many of these came after `since`."""
    settled = [id_ for id_, stored_at in seen.items() if stored_at <= until]
    return sum(seen.pop(id_) > since for id_ in settled)

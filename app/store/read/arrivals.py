"""Poll for events that were just stored or rejected, each reported once.

`stored_at` is the start of a transaction, and a transaction may commit after one that
started later. Each poll therefore reads everything after the watermark again except
the rows it has already reported. The watermark trails the clock by more than the
longest transaction of the service, and stays before the start of every writing
transaction that is running, so nothing stored before it can still become visible.
A standby has replayed less than the clock says: see `ReplayedTime`.
"""

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.store.query import ask
from app.store.read.arrival import Arrival, to_arrival

# The first poll reads this much, and so does one after a long outage.
HISTORY = timedelta(hours=1)

# Both halves read the index on stored_at backwards until they reach the limit.
POLL = text("""
SELECT * FROM (
    SELECT
        'stored' AS status, CAST(id AS text) AS id, stored_at, received_at, source,
        event, user_id, group_id, "timestamp", NULL AS reason,
        CAST(warnings AS text) AS warnings, NULL AS payload
    FROM events
    WHERE stored_at > CAST(:since AS timestamptz)
        AND id <> ALL(CAST(:seen AS uuid[]))
    ORDER BY stored_at DESC
    LIMIT CAST(:limit AS integer)
) AS stored
UNION ALL
SELECT * FROM (
    SELECT
        'rejected', CAST(id AS text), stored_at, received_at, source,
        event, NULL, NULL, CAST(NULL AS timestamptz), reason,
        CAST(warnings AS text), CASE WHEN payload_bytes <= 8192 THEN payload END
    FROM rejected_events
    WHERE stored_at > CAST(:since AS timestamptz)
        AND id <> ALL(CAST(:seen AS uuid[]))
    ORDER BY stored_at DESC
    LIMIT CAST(:limit AS integer)
) AS rejected
ORDER BY stored_at DESC
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
# A role sees the transactions of its own logins, and with pg_read_all_stats those of
# all; on a standby none of the primary's, only which ids are in progress.
_WATERMARK = text("""
SELECT
    least(
        CASE WHEN pg_is_in_recovery()
            THEN least(
                now(),
                coalesce(
                    pg_last_xact_replay_timestamp(),  -- NULL soon after a start
                    now() - interval '1 hour'
                )
            )
            ELSE now()
        END - CAST(:lag AS interval),
        (
            SELECT min(xact_start) - interval '1 microsecond' FROM pg_stat_activity
            WHERE datname = current_database() AND backend_xid IS NOT NULL
        )
    ) AS "end",
    pg_is_in_recovery() AS is_standby,
    CAST(CAST(pg_snapshot_xmin(seen) AS text) AS bigint) AS xmin,
    CAST(CAST(pg_snapshot_xmax(seen) AS text) AS bigint) AS xmax
FROM pg_current_snapshot() AS seen
""")
# A replay is the longest transaction of Rollcall: it may pause for five minutes.
_LONGEST = timedelta(minutes=5)
_NO_RESPONSE = "The database does not respond."


class Counts(NamedTuple):
    """Number of events of one minute."""

    stored: int
    rejected: int


class PollResult(NamedTuple):
    """Result of one poll.

    Attributes:
        arrivals: rows that no earlier poll reported, newest first.
        since: watermark before this poll.
        watermark: no event stored before this can still become visible.
        minutes: number of events stored between the two, by the minute.
        skipped: how many of these no poll has reported, because of its limit.
    """

    arrivals: list[Arrival]
    since: datetime
    watermark: datetime
    minutes: dict[datetime, Counts]
    skipped: int


# Old watermark, new watermark, rows and counts.
_Found: TypeAlias = tuple[
    datetime, datetime, Sequence[Row[Any]], dict[datetime, Counts]
]


class ReplayedTime:
    """The time until which a standby has replayed all transactions that store events.

    A standby knows the ids of the running transactions, not when they began. Those
    that ran at an earlier poll have ended once the oldest running one is younger.
    """

    def __init__(self) -> None:
        # Of each poll, the first id that was not yet given out, and its time.
        self._polls: deque[tuple[int, datetime]] = deque()
        self._time: datetime | None = None

    def advance(self, end: datetime, *, xmin: int, xmax: int) -> datetime:
        """Take in a poll; returns the time.

        Args:
            end: time of the last transaction that was replayed.
            xmin: id of the oldest transaction that runs.
            xmax: first id that was not yet given out.
        """
        self._polls.append((xmax, end))
        longest_ago = end - _LONGEST
        while self._polls and (
            self._polls[0][0] <= xmin or self._polls[0][1] <= longest_ago
        ):
            _, self._time = self._polls.popleft()
        return max(self._time or longest_ago, longest_ago)


class Arrivals:
    """Polls for arrivals.

    Args:
        engine: with few connections, separate from the writer's.
        watermark_lag_s: longer than any transaction of the service that stores
            events. Longer ones, such as those of an import, are looked up.
        timeout_s: for one poll.
    """

    def __init__(
        self, engine: AsyncEngine, *, watermark_lag_s: float, timeout_s: float = 1.0
    ) -> None:
        self._ask = partial(ask, engine, timeout_s=timeout_s, failure=_NO_RESPONSE)
        self._lag = timedelta(seconds=watermark_lag_s)
        self._watermark: datetime | None = None
        # Reported rows after the watermark, so that they are not reported again.
        self._seen: dict[UUID, datetime] = {}
        self._replayed = ReplayedTime()

    def reset(self) -> None:
        """Start again with the next poll."""
        self._watermark = None
        self._seen.clear()
        self._replayed = ReplayedTime()

    async def poll(self, *, limit: int) -> PollResult:
        """Read new events; the first poll reads the last hour.

        Args:
            limit: most stored and most rejected events to read. The newest are read
                first; a later poll may read the others until the watermark passes.

        Raises:
            UnavailableError: the database did not respond.
        """
        since, watermark, rows, minutes = await self._ask(
            partial(self._poll, limit=limit)
        )
        # State changes only now: a poll that failed half-way has reported nothing.
        self._watermark = watermark
        self._seen |= {UUID(row.id): row.stored_at for row in rows}
        complete = [id_ for id_, at in self._seen.items() if at <= watermark]
        reported = sum(self._seen.pop(id_) > since for id_ in complete)
        skipped = sum(map(sum, minutes.values())) - reported
        return PollResult([*map(to_arrival, rows)], since, watermark, minutes, skipped)

    async def count(self, since: datetime, until: datetime) -> dict[datetime, Counts]:
        """Number of events stored after `since` and until `until`, by the minute.

        Raises:
            UnavailableError: the database did not respond.
        """
        return await self._ask(partial(_count, since=since, until=until))

    async def _poll(self, connection: AsyncConnection, *, limit: int) -> _Found:
        # First, so that a transaction that starts later is after the watermark.
        row = (await connection.execute(_WATERMARK, {"lag": self._lag})).one()
        end: datetime = row.end
        if row.is_standby:
            end = self._replayed.advance(end, xmin=row.xmin, xmax=row.xmax)
        since = max(self._watermark or end, end - HISTORY)
        watermark = max(since, end)
        # A first poll reports what came before, and counts nothing of it.
        start = since if self._watermark else since - HISTORY
        values = {"since": start, "seen": list(self._seen), "limit": limit}
        rows = (await connection.execute(POLL, values)).all()
        minutes = await _count(connection, since=since, until=watermark)
        return since, watermark, rows, minutes


async def _count(
    connection: AsyncConnection, *, since: datetime, until: datetime
) -> dict[datetime, Counts]:
    rows = await connection.execute(COUNT, {"since": since, "until": until})
    return {minute: Counts(stored, rejected) for minute, stored, rejected in rows}

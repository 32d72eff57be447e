"""What an operator asks first of all that was stored, as SQL that can be run again.

Each question is one text without parameters, so that what is shown beside a figure is
what was executed, and means the same in any session, whatever its time zone.
Each looks at a span of `stored_at` or of receipt, so that older weeks are left alone.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.store.query import ask

_CHECK_TIMEOUT_S = 1.0
_NOTHING = text("SELECT 1")


@dataclass(frozen=True, slots=True)
class Report:
    """One figure.

    Attributes:
        title: what it is.
        about: what is counted, and what is not.
        sql: the text that is executed.
    """

    title: str
    about: str
    sql: str


DAYS = Report(
    "Sign-ups and members added a day",
    "By the day (UTC) on which it happened, as the sender says. An event cannot have "
    "happened long after it was stored, so weeks before are not read.",
    """\
WITH days AS (
    SELECT date_trunc('day', now() AT TIME ZONE 'UTC') - n * interval '1 day' AS day
    FROM generate_series(0, 29) AS n
), happened AS (
    SELECT date_trunc('day', "timestamp" AT TIME ZONE 'UTC') AS day, event
    FROM events
    WHERE "timestamp" >= (date_trunc('day', now() AT TIME ZONE 'UTC')
            - interval '29 days') AT TIME ZONE 'UTC'
        AND stored_at >= (date_trunc('day', now() AT TIME ZONE 'UTC')
            - interval '30 days') AT TIME ZONE 'UTC'
)
SELECT
    CAST(day AS date) AS day,
    count(*) FILTER (WHERE event = 'signed_up') AS sign_ups,
    count(*) FILTER (WHERE event = 'account_added_user') AS members_added
FROM days LEFT JOIN happened USING (day)
GROUP BY day
ORDER BY day;""",
)
SOURCES = Report(
    "Events by source",
    "Stored in the last seven days.",
    """\
SELECT
    source,
    event,
    count(*) AS events,
    date_trunc('second', max(stored_at) AT TIME ZONE 'UTC') AS last_stored_utc
FROM events
WHERE stored_at >= now() - interval '7 days'
GROUP BY source, event
ORDER BY source, event
LIMIT 200;""",
)
REJECTED = Report(
    "Rejected events by reason",
    "Kept in quarantine, received in the last seven days.",
    """\
SELECT
    reason,
    count(*) AS events,
    count(DISTINCT source) AS sources,
    date_trunc('second', max(received_at) AT TIME ZONE 'UTC') AS last_received_utc
FROM rejected_events
WHERE received_at >= now() - interval '7 days'
GROUP BY reason
ORDER BY events DESC, reason;""",
)
DROPPED = Report(
    "Rejected events that were not kept",
    "The quarantine of their source was full; in the last seven days.",
    """\
SELECT source, CAST(sum(events) AS bigint) AS events
FROM rejected_drops
WHERE minute >= now() - interval '7 days'
GROUP BY source
ORDER BY events DESC, source
LIMIT 200;""",
)
WARNINGS = Report(
    "Warnings by code",
    "Of the latest 100,000 events that were stored in the last seven days.",
    """\
SELECT warning ->> 'code' AS code, count(*) AS warnings, count(DISTINCT id) AS events
FROM (
    SELECT id, warnings FROM events
    WHERE stored_at >= now() - interval '7 days'
    ORDER BY stored_at DESC
    LIMIT 100000
) AS latest, jsonb_array_elements(warnings) AS warning
GROUP BY code
ORDER BY warnings DESC, code;""",
)
DELAY = Report(
    "Delay from event to receipt",
    "In seconds, of the latest 100,000 events that were stored in the last seven days. "
    "A sender that gives the time of sending has none; an import has much.",
    """\
SELECT
    count(*) AS events,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY delay) AS p50,
    percentile_disc(0.99) WITHIN GROUP (ORDER BY delay) AS p99
FROM (
    SELECT round(extract(epoch FROM received_at - "timestamp"), 3) AS delay
    FROM events
    WHERE stored_at >= now() - interval '7 days'
    ORDER BY stored_at DESC
    LIMIT 100000
) AS latest;""",
)


class ReportRunner:
    """Asks them, each within a time of its own.

    Args:
        engine: apart from the writer's.
        timeout_s: for one of them.
    """

    def __init__(self, engine: AsyncEngine, *, timeout_s: float) -> None:
        self._engine = engine
        self._timeout_s = timeout_s

    async def check(self) -> None:
        """Return where there is a database that answers at all.

        Raises:
            UnavailableError: there is none.
        """
        await self._ask(_NOTHING, timeout_s=_CHECK_TIMEOUT_S)

    async def ask(self, question: Report) -> list[dict[str, Any]]:
        """The rows of the answer, a value for each column by its name.

        Raises:
            UnavailableError: it was not there in time.
        """
        return await self._ask(text(question.sql), timeout_s=self._timeout_s)

    async def _ask(
        self, statement: TextClause, *, timeout_s: float
    ) -> list[dict[str, Any]]:
        async def execute(connection: AsyncConnection) -> list[dict[str, Any]]:
            result = await connection.execute(statement)
            return [dict(row) for row in result.mappings()]

        return await ask(
            self._engine,
            execute,
            timeout_s=timeout_s,
            failure="The database does not answer.",
        )

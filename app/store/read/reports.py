"""Reports: the questions that operators ask first, as SQL that they can run again.

Each report is one statement without parameters, so a page shows exactly what was
executed, and the statement gives the same result in any session and time zone.
Each is bounded by `stored_at` or by the time of receipt, so old partitions are skipped.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.store.query import ask
from app.store.write.partitions import COUNT_WEEKS_AHEAD

Span: TypeAlias = Literal["hour", "day", "week", "quarter"]

_CHECK_TIMEOUT_S = 1.0
_NOTHING = text("SELECT 1")
_NO_RESPONSE = "The database does not respond."


@dataclass(frozen=True, slots=True)
class Report:
    """One report: a heading, an explanation of the counts, and the SQL to execute."""

    title: str
    about: str
    sql: str


# Length and number of buckets. A day is 24 hours in any session: intervals of days
# depend on its time zone.
BUCKETS: dict[Span, tuple[str, int]] = {
    "hour": ("1 minute", 60),
    "day": ("30 minutes", 48),
    "week": ("6 hours", 28),
    "quarter": ("24 hours", 91),
}
_EVENTS = """\
WITH buckets AS (
    SELECT date_bin('{step}', now(), TIMESTAMPTZ '2000-01-01 00:00Z')
        - n * interval '{step}' AS bucket
    FROM generate_series(0, {count} - 1) AS n
), counts AS (
    SELECT
        date_bin('{step}', "timestamp", TIMESTAMPTZ '2000-01-01 00:00Z') AS bucket,
        event,
        count(*) FILTER (WHERE import_id IS NULL) AS live,
        count(import_id) AS imported
    FROM events
    WHERE "timestamp" >= now() - {count} * interval '{step}'
        AND "timestamp" < now() + interval '{step}'
        AND stored_at >= now() - {count} * interval '{step}' - interval '24 hours'
    GROUP BY 1, 2
)
SELECT bucket, event, coalesce(live, 0) AS live, coalesce(imported, 0) AS imported
FROM buckets LEFT JOIN counts USING (bucket)
ORDER BY bucket, event;"""
EVENTS_BY_SPAN: dict[Span, Report] = {
    span: Report(
        "Events over time",
        "By the timestamp of the event, in UTC. Events of an import are counted "
        "separately from events that were sent over HTTP.",
        _EVENTS.format(step=step, count=count),
    )
    for span, (step, count) in BUCKETS.items()
}
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
REJECTED_BY_REASON = Report(
    "Rejected events by reason",
    "Kept in quarantine, received in the last seven days.",
    """\
SELECT
    reason,
    count(*) AS events,
    count(DISTINCT source) AS sources,
    date_trunc('second', max(received_at) AT TIME ZONE 'UTC') AS last_received_utc
FROM rejected_events
WHERE received_at >= now() - interval '7 days' AND corrected_at IS NULL
GROUP BY reason
ORDER BY events DESC, reason;""",
)
DROPPED = Report(
    "Rejected events that were not kept",
    "The quarantine of their source was full. In the last seven days.",
    """\
SELECT source, CAST(sum(events) AS bigint) AS events
FROM rejected_drops
WHERE minute >= now() - interval '7 days'
GROUP BY source
ORDER BY events DESC, source
LIMIT 200;""",
)
WARNINGS_BY_CODE = Report(
    "Warnings by code",
    "In the latest 100,000 events of the last seven days.",
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
    "In the latest 100,000 events of the last seven days, without imports. The "
    "timestamp of an event that is sent at once is its time of sending.",
    """\
SELECT
    count(*) AS events,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY delay) AS p50,
    percentile_disc(0.99) WITHIN GROUP (ORDER BY delay) AS p99
FROM (
    SELECT round(extract(epoch FROM received_at - "timestamp"), 3) AS delay
    FROM events
    WHERE stored_at >= now() - interval '7 days' AND import_id IS NULL
    ORDER BY stored_at DESC
    LIMIT 100000
) AS latest;""",
)
SOURCE_NAMES = Report(
    "Sources",
    "All sources, in the order of their names.",
    "SELECT name FROM sources ORDER BY name LIMIT 1000;",
)
ACTIVITY = Report(
    "Activity by source",
    "Stored in the last day, in steps of 30 minutes, and the last event of seven days.",
    """\
WITH lately AS (
    SELECT
        source,
        date_bin('30 minutes', stored_at, now() - interval '24 hours') AS bucket,
        count(*) AS events,
        count(*) FILTER (WHERE stored_at > now() - interval '1 minute') AS minute,
        count(*) FILTER (WHERE stored_at > now() - interval '1 hour') AS hour,
        max(stored_at) AS last
    FROM events
    WHERE stored_at > now() - interval '24 hours'
    GROUP BY 1, 2
), week AS (
    SELECT source, max(stored_at) AS last
    FROM events
    WHERE stored_at > now() - interval '7 days'
    GROUP BY source
)
SELECT
    source,
    CAST(coalesce(sum(minute), 0) AS bigint) AS minute,
    CAST(coalesce(sum(hour), 0) AS bigint) AS hour,
    CAST(coalesce(sum(events), 0) AS bigint) AS day,
    max(week.last) AS last,
    now() AS at,
    coalesce(
        array_agg(extract(epoch FROM now() - bucket) / 1800 ORDER BY bucket)
            FILTER (WHERE bucket IS NOT NULL),
        '{}'
    ) AS ages,
    coalesce(
        array_agg(events ORDER BY bucket) FILTER (WHERE bucket IS NOT NULL), '{}'
    ) AS counts
FROM week LEFT JOIN lately USING (source)
GROUP BY source
ORDER BY day DESC, source
LIMIT 200;""",
)
REASONS = Report(
    "Rejected events",
    "By reason, received in the last seven days and not corrected.",
    """\
SELECT
    reason,
    count(*) FILTER (WHERE received_at > now() - interval '1 minute') AS minute,
    count(*) FILTER (WHERE received_at > now() - interval '1 hour') AS hour,
    count(*) FILTER (WHERE received_at > now() - interval '24 hours') AS day,
    count(*) AS week
FROM rejected_events
WHERE received_at > now() - interval '7 days' AND corrected_at IS NULL
GROUP BY reason
ORDER BY day DESC, week DESC, reason
LIMIT 50;""",
)

WEEKS = Report(
    "Partitions of the weeks ahead",
    "Events of a week without a partition cannot be stored.",
    COUNT_WEEKS_AHEAD,
)


class ReportRunner:
    """Runs reports, each within its own timeout."""

    def __init__(self, engine: AsyncEngine, *, timeout_s: float) -> None:
        self._ask = partial(ask, engine, failure=_NO_RESPONSE)
        self._timeout_s = timeout_s

    async def check(self) -> None:
        """Return if the database responds at all.

        Raises:
            UnavailableError: it does not.
        """
        await self._ask(
            lambda connection: connection.execute(_NOTHING),
            timeout_s=_CHECK_TIMEOUT_S,
        )

    async def run(self, report: Report) -> list[dict[str, Any]]:
        """The rows of a report, each a value by column name.

        Raises:
            UnavailableError: the report did not finish in time.
        """

        async def execute(connection: AsyncConnection) -> list[dict[str, Any]]:
            result = await connection.execute(text(report.sql))
            return [dict(row) for row in result.mappings()]

        return await self._ask(execute, timeout_s=self._timeout_s)

"""The statements that keep rejected events, each run in the caller's transaction.

Which of them are kept is decided in `app.store.quarantine.caps`; what operators ask and
do is in `app.store.quarantine.queries` and `app.store.quarantine.replay`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.pipeline.rejection import MAX_PAYLOAD, Rejection
from app.store.quarantine.issues_json import issues_json, stored_warnings

_INSERT = text("""
INSERT INTO rejected_events (
    id, received_at, source, event, message_id, reason, errors, warnings,
    payload, payload_bytes, truncated, request_id
)
SELECT
    id, received_at, source, event, message_id, reason, CAST(errors AS jsonb),
    CAST(warnings AS jsonb), payload, payload_bytes, truncated, request_id
FROM unnest(
    CAST(:id AS uuid[]), CAST(:received_at AS timestamptz[]),
    CAST(:source AS text[]), CAST(:event AS text[]), CAST(:message_id AS text[]),
    CAST(:reason AS text[]), CAST(:errors AS text[]), CAST(:warnings AS text[]),
    CAST(:payload AS text[]), CAST(:payload_bytes AS integer[]),
    CAST(:truncated AS boolean[]), CAST(:request_id AS text[])
) AS input (
    id, received_at, source, event, message_id, reason, errors, warnings,
    payload, payload_bytes, truncated, request_id
)
ORDER BY id
ON CONFLICT (id) DO NOTHING
RETURNING id
""")

_FIND = text("SELECT id FROM rejected_events WHERE id = ANY(CAST(:id AS uuid[]))")

# Answered by rejected_events_source_received_at_idx alone, and never by more of it
# than the cap, however much an earlier, larger cap has left in the table.
_MEASURE = text("""
SELECT asked.source, count(kept_bytes), coalesce(sum(kept_bytes), 0)
FROM unnest(CAST(:source AS text[])) AS asked (source)
LEFT JOIN LATERAL (
    SELECT least(payload_bytes, CAST(:longest AS integer)) AS kept_bytes
    FROM rejected_events
    WHERE rejected_events.source = asked.source
    LIMIT CAST(:limit AS bigint)
) AS held ON true
GROUP BY asked.source
""")

# The rows of one worker are touched by no other: nobody waits for a lock on them.
_COUNT_DROPS = text("""
INSERT INTO rejected_drops (minute, source, worker, events)
SELECT minute, source, CAST(:worker AS text), events FROM unnest(
    CAST(:minute AS timestamptz[]), CAST(:source AS text[]), CAST(:events AS bigint[])
) AS input (minute, source, events)
ON CONFLICT (minute, source, worker)
DO UPDATE SET events = rejected_drops.events + excluded.events
""")


class QuarantineUsage(NamedTuple):
    """What of a source is in quarantine.

    Attributes:
        events: rows.
        payload_bytes: of their payloads, as far as these are kept.
    """

    events: int
    payload_bytes: int

    def plus(self, row: Rejection) -> "QuarantineUsage":
        """The same with one row more."""
        return QuarantineUsage(self.events + 1, self.payload_bytes + len(row.payload))


async def insert_rejected(
    connection: AsyncConnection, rows: Sequence[Rejection]
) -> set[str]:
    """Insert the rows, no two of one id; return the ids that were not there before."""
    if not rows:
        return set()
    inserted = await connection.execute(
        _INSERT,
        {
            "id": [row.id for row in rows],
            "received_at": [row.received_at for row in rows],
            "source": [row.source for row in rows],
            "event": [row.event for row in rows],
            "message_id": [row.message_id for row in rows],
            "reason": [row.reason for row in rows],
            "errors": [issues_json(row.errors) for row in rows],
            "warnings": [stored_warnings(row.warnings) for row in rows],
            "payload": [row.payload for row in rows],
            "payload_bytes": [row.payload_bytes for row in rows],
            "truncated": [row.truncated for row in rows],
            "request_id": [row.request_id for row in rows],
        },
    )
    return {str(id_) for id_ in inserted.scalars()}


async def find_rejected(connection: AsyncConnection, ids: Iterable[str]) -> set[str]:
    """Which of the ids are in quarantine."""
    found = await connection.execute(_FIND, {"id": list(ids)})
    return {str(id_) for id_ in found.scalars()}


async def measure_rejected(
    connection: AsyncConnection, sources: Iterable[str], *, limit: int
) -> dict[str, QuarantineUsage]:
    """What each source holds; of one that holds `limit` rows or more, only so many."""
    figures = await connection.execute(
        _MEASURE, {"source": list(sources), "limit": limit, "longest": MAX_PAYLOAD}
    )
    return {
        source: QuarantineUsage(events, payload_bytes)
        for source, events, payload_bytes in figures
    }


async def count_drops(
    connection: AsyncConnection, rows: Sequence[Rejection], *, worker: str
) -> None:
    """Count the rows as dropped in the minute of their receipt.

    Args:
        connection: in a transaction.
        rows: that are not kept.
        worker: a name that no other process has.
    """
    if not rows:
        return
    counts = Counter(
        (row.received_at.replace(second=0, microsecond=0), row.source) for row in rows
    )
    await connection.execute(
        _COUNT_DROPS,
        {
            "minute": [minute for minute, _ in counts],
            "source": [source for _, source in counts],
            "events": list(counts.values()),
            "worker": worker,
        },
    )

"""The statements that keep rejected events, each run in the caller's transaction.

`app.store.quarantine.caps` decides which events are kept. The queries and commands of
operators are in `app.store.quarantine.queries` and `app.store.quarantine.replay`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import asyncpg

from app.pipeline.rejection import MAX_PAYLOAD, Rejection
from app.store.quarantine.issues_json import issues_json, stored_warnings

_INSERT = """
INSERT INTO rejected_events (
    id, received_at, source, event, message_id, reason, errors, warnings,
    payload, payload_bytes, truncated, request_id
)
SELECT
    id, received_at, source, event, message_id, reason, CAST(errors AS jsonb),
    CAST(warnings AS jsonb), payload, payload_bytes, truncated, request_id
FROM unnest(
    $1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[],
    $7::text[], $8::text[], $9::text[], $10::integer[], $11::boolean[], $12::text[]
) AS input (
    id, received_at, source, event, message_id, reason, errors, warnings,
    payload, payload_bytes, truncated, request_id
)
ORDER BY id
ON CONFLICT (id) DO NOTHING
RETURNING id
"""

_FIND = "SELECT id FROM rejected_events WHERE id = ANY($1::uuid[])"

# An index-only scan of rejected_events_source_received_at_idx, limited to the cap even
# if an earlier, larger cap left more rows.
_MEASURE = """
SELECT asked.source, count(kept_bytes), coalesce(sum(kept_bytes), 0)
FROM unnest($1::text[]) AS asked (source)
LEFT JOIN LATERAL (
    SELECT least(payload_bytes, $2::integer) AS kept_bytes
    FROM rejected_events
    WHERE rejected_events.source = asked.source
    LIMIT $3::bigint
) AS held ON true
GROUP BY asked.source
"""

# Each worker updates only its own rows, so there are no lock waits.
_COUNT_DROPS = """
INSERT INTO rejected_drops (minute, source, worker, events)
SELECT minute, source, $1::text, events FROM unnest(
    $2::timestamptz[], $3::text[], $4::bigint[]
) AS input (minute, source, events)
ON CONFLICT (minute, source, worker)
DO UPDATE SET events = rejected_drops.events + excluded.events
"""


class QuarantineUsage(NamedTuple):
    """Rows of one source in quarantine, and the bytes of their kept payloads."""

    events: int
    payload_bytes: int

    def plus(self, row: Rejection) -> "QuarantineUsage":
        """The usage after adding one row."""
        return QuarantineUsage(self.events + 1, self.payload_bytes + len(row.payload))


async def insert_rejected(
    driver: asyncpg.Connection, rows: Sequence[Rejection]
) -> set[str]:
    """Insert rows with distinct ids; return the ids that were new."""
    if not rows:
        return set()
    inserted = await driver.fetch(
        _INSERT,
        [row.id for row in rows],
        [row.received_at for row in rows],
        [row.source for row in rows],
        [row.event for row in rows],
        [row.message_id for row in rows],
        [row.reason for row in rows],
        [issues_json(row.errors) for row in rows],
        [stored_warnings(row.warnings) for row in rows],
        [row.payload for row in rows],
        [row.payload_bytes for row in rows],
        [row.truncated for row in rows],
        [row.request_id for row in rows],
    )
    return {str(id_) for (id_,) in inserted}


async def known_rejected(driver: asyncpg.Connection, ids: Iterable[str]) -> set[str]:
    """The ids that are in quarantine."""
    return {str(id_) for (id_,) in await driver.fetch(_FIND, list(ids))}


async def measure_rejected(
    driver: asyncpg.Connection, sources: Iterable[str], *, limit: int
) -> dict[str, QuarantineUsage]:
    """Usage by source, counting at most `limit` rows of each."""
    figures = await driver.fetch(_MEASURE, list(sources), MAX_PAYLOAD, limit)
    return {source: QuarantineUsage(*usage) for source, *usage in figures}


async def count_drops(
    driver: asyncpg.Connection, rows: Sequence[Rejection], *, worker: str
) -> None:
    """Count rows as dropped in the minute of their receipt, by this process."""
    if not rows:
        return
    counts = Counter(
        (row.received_at.replace(second=0, microsecond=0), row.source) for row in rows
    )
    await driver.execute(
        _COUNT_DROPS,
        worker,
        [minute for minute, _ in counts],
        [source for _, source in counts],
        list(counts.values()),
    )

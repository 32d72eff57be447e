"""The statements that store events, each run in the caller's transaction.

`event_ids` is the deduplication: a row is inserted only by whoever claims its id.
Ids are claimed in sorted order, because two transactions that claim in opposite
orders wait for each other.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.events.record import Receipt, Record
from app.events.rejection import Rejection, reject
from app.events.remark import UNSTORED_WARNINGS, Remark

CONTENT_DIFFERS = Remark(
    "content_differs",
    "",
    "An event with this id and other content is stored already and stays; "
    "this one is kept among the rejected events.",
)
_ID_CONFLICT = Remark(
    "id_conflict", "", "An event with this id and other content is stored already."
)

# now() is the start of the transaction, so both rows of an event hold the same
# stored_at: the id alone leads to the partition.
_CLAIM_AND_STORE = text("""
WITH input AS (
    SELECT * FROM unnest(
        CAST(:id AS uuid[]), CAST(:source AS text[]), CAST(:event AS text[]),
        CAST(:user_id AS text[]), CAST(:group_id AS text[]),
        CAST(:timestamp AS timestamptz[]), CAST(:timestamp_raw AS text[]),
        CAST(:received_at AS timestamptz[]), CAST(:message_id AS text[]),
        CAST(:properties AS text[]), CAST(:context AS text[]),
        CAST(:warnings AS text[]), CAST(:content_hash AS bytea[])
    ) AS input (
        id, source, event, user_id, group_id, "timestamp", timestamp_raw,
        received_at, message_id, properties, context, warnings, content_hash
    )
), claimed AS (
    INSERT INTO event_ids (id, stored_at, content_hash)
    SELECT id, now(), content_hash FROM input ORDER BY id
    ON CONFLICT (id) DO NOTHING
    RETURNING id
), stored AS (
    INSERT INTO events (
        id, source, event, user_id, group_id, "timestamp", timestamp_raw,
        received_at, stored_at, message_id, properties, context, warnings
    )
    SELECT
        id, source, event, user_id, group_id, "timestamp", timestamp_raw,
        received_at, now(), message_id, CAST(properties AS jsonb),
        CAST(context AS jsonb), CAST(warnings AS jsonb)
    FROM input JOIN claimed USING (id)
)
SELECT id FROM claimed
""")

# A statement of its own: only a new snapshot sees what another worker has committed
# while the claim waited for it.
_STORED_HASHES = text("""
SELECT id, content_hash FROM event_ids WHERE id = ANY(CAST(:id AS uuid[]))
""")

_QUARANTINE = text("""
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
""")

Entry = Record | Rejection


class Outcome(NamedTuple):
    """What became of one entry.

    Attributes:
        status: `stored` by this transaction; `duplicate` of what was stored before;
            `rejected` and in quarantine; `valid`, of a dry run; `ignored`, of a call
            that is no event.
        differs: for a duplicate, whether what is stored has other content.
        errors: why it was rejected.
        kept: whether a rejected one is in quarantine.
        rejection_id: its id there, where it was rejected only by the database.
    """

    status: Literal["stored", "duplicate", "rejected", "valid", "ignored"]
    differs: bool = False
    errors: tuple[Remark, ...] = ()
    kept: bool = True
    rejection_id: str | None = None


STORED = Outcome("stored")
DUPLICATE = Outcome("duplicate")
DIFFERING = Outcome("duplicate", differs=True)


async def store(connection: AsyncConnection, entries: Sequence[Entry]) -> list[Outcome]:
    """Write entries in the caller's transaction; final once that has committed.

    Args:
        connection: in a transaction, at READ COMMITTED.
        entries: records and rejections in the order of their arrival. Of records
            with one id the first is inserted; the others answer from it.

    Returns:
        An outcome for each entry, in the same order.
    """
    records: dict[str, Record] = {}
    for entry in entries:
        if isinstance(entry, Record):
            records.setdefault(entry.id, entry)
    claimed = await _claim(connection, list(records.values()))
    hashes = {id_: records[id_].content_hash for id_ in claimed}
    hashes |= await _read_hashes(connection, records.keys() - claimed)
    outcomes: list[Outcome] = []
    quarantined: list[Rejection] = []
    for entry in entries:
        if isinstance(entry, Rejection):
            quarantined.append(entry)
            outcomes.append(Outcome("rejected", errors=entry.errors))
        elif entry.content_hash != hashes[entry.id]:
            quarantined.append(quarantine(entry, _ID_CONFLICT))
            outcomes.append(DIFFERING)
        elif entry.id in claimed and entry is records[entry.id]:
            outcomes.append(STORED)
        else:
            outcomes.append(DUPLICATE)
    await _quarantine(connection, quarantined)
    return outcomes


def quarantine(record: Record, error: Remark) -> Rejection:
    """Make the row that keeps a record which cannot be stored after all."""
    receipt = Receipt(record.source, record.received_at, record.request_id)
    return reject(
        record.sent,
        receipt=receipt,
        errors=[error],
        warnings=record.warnings,
        message_id=record.message_id,
    )


async def _claim(connection: AsyncConnection, records: list[Record]) -> set[str]:
    """Store the records whose ids are new; return those ids."""
    if not records:
        return set()
    result = await connection.execute(
        _CLAIM_AND_STORE,
        {
            "id": [record.id for record in records],
            "source": [record.source for record in records],
            "event": [record.event for record in records],
            "user_id": [record.user_id for record in records],
            "group_id": [record.group_id for record in records],
            "timestamp": [record.timestamp for record in records],
            "timestamp_raw": [record.timestamp_raw for record in records],
            "received_at": [record.received_at for record in records],
            "message_id": [record.message_id for record in records],
            "properties": [record.properties for record in records],
            "context": [record.context for record in records],
            "warnings": [_stored_warnings(record.warnings) for record in records],
            "content_hash": [record.content_hash for record in records],
        },
    )
    return {str(id_) for id_ in result.scalars()}


async def _read_hashes(
    connection: AsyncConnection, ids: Iterable[str]
) -> dict[str, bytes]:
    wanted = list(ids)
    if not wanted:
        return {}
    result = await connection.execute(_STORED_HASHES, {"id": wanted})
    return {str(id_): content_hash for id_, content_hash in result}


async def _quarantine(connection: AsyncConnection, rows: list[Rejection]) -> None:
    if not rows:
        return
    await connection.execute(
        _QUARANTINE,
        {
            "id": [row.id for row in rows],
            "received_at": [row.received_at for row in rows],
            "source": [row.source for row in rows],
            "event": [row.event for row in rows],
            "message_id": [row.message_id for row in rows],
            "reason": [row.reason for row in rows],
            "errors": [_remarks_json(row.errors) for row in rows],
            "warnings": [_stored_warnings(row.warnings) for row in rows],
            "payload": [row.payload for row in rows],
            "payload_bytes": [row.payload_bytes for row in rows],
            "truncated": [row.truncated for row in rows],
            "request_id": [row.request_id for row in rows],
        },
    )


def _stored_warnings(warnings: tuple[Remark, ...]) -> str:
    if not warnings:
        return "[]"
    return _remarks_json(w for w in warnings if w.code not in UNSTORED_WARNINGS)


def _remarks_json(remarks: Iterable[Remark]) -> str:
    return orjson.dumps([remark.as_json() for remark in remarks]).decode()

"""The statements that store events, each run in the caller's transaction.

`event_ids` is the deduplication: a row is inserted only by whoever claims its id.
Ids are claimed in sorted order, because two transactions that claim in opposite
orders wait for each other.
"""

from collections.abc import Collection, Sequence
from typing import Any, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.pipeline.issues import Issue
from app.pipeline.record import Record
from app.pipeline.rejection import Rejection
from app.store.quarantine.caps import ID_CONFLICT, Quarantine, reject_record
from app.store.quarantine.issues_json import stored_warnings

CONTENT_DIFFERS = Issue(
    "content_differs",
    "",
    "An event with this id and other content is stored already and stays; "
    "this one is kept among the rejected events.",
)
CONTENT_DROPPED = CONTENT_DIFFERS._replace(
    message="An event with this id and other content is stored already and stays; "
    "this one is kept nowhere, because the quarantine is full."
)

ERASED = Issue(
    "erased",
    "",
    "This event has been erased at a person's request; it is not stored again.",
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
        CAST(:warnings AS text[]), CAST(:content_hash AS bytea[]),
        CAST(:extra AS text[])
    ) AS input (
        id, source, event, user_id, group_id, "timestamp", timestamp_raw,
        received_at, message_id, properties, context, warnings, content_hash, extra
    )
), claimed AS (
    INSERT INTO event_ids (id, stored_at, content_hash)
    SELECT id, now(), content_hash FROM input ORDER BY id
    ON CONFLICT (id) DO NOTHING
    RETURNING id
), stored AS (
    INSERT INTO events (
        id, source, event, user_id, group_id, "timestamp", timestamp_raw,
        received_at, stored_at, message_id, properties, context, warnings, extra,
        import_id
    )
    SELECT
        id, source, event, user_id, group_id, "timestamp", timestamp_raw,
        received_at, now(), message_id, CAST(properties AS jsonb),
        CAST(context AS jsonb), CAST(warnings AS jsonb), CAST(extra AS jsonb),
        CAST(:import_id AS uuid)
    FROM input JOIN claimed USING (id)
)
SELECT id FROM input WHERE NOT EXISTS (SELECT FROM claimed WHERE claimed.id = input.id)
""")

# The fields of a record that are parameters of the statement above.
_STORED = [name for name in Record._fields if name not in {"sent", "request_id"}]

# A statement of its own: only a new snapshot sees what another worker has committed
# while the claim waited for it.
_STORED_HASHES = text("""
SELECT id, content_hash, erased_at IS NOT NULL FROM event_ids
WHERE id = ANY(CAST(:id AS uuid[]))
""")

Entry = Record | Rejection


class Outcome(NamedTuple):
    """What became of one entry.

    Attributes:
        status: `stored` by this transaction; `duplicate` of what was stored before;
            `rejected` and in quarantine; `buffered`, in the journal; `valid`, of a
            dry run; `ignored`, of a call that is no event.
        differs: for a duplicate, whether what is stored has other content.
        errors: why it was rejected.
        kept: whether one that is rejected or differs is in quarantine.
        rejection_id: its id there, where it was rejected only by the database.
        buffered: whether one that is rejected waits in the journal for its place in
            quarantine.
    """

    status: Literal["stored", "duplicate", "rejected", "buffered", "valid", "ignored"]
    differs: bool = False
    errors: tuple[Issue, ...] = ()
    kept: bool = True
    rejection_id: str | None = None
    buffered: bool = False


STORED = Outcome("stored")
DUPLICATE = Outcome("duplicate")
CONFLICT = Outcome("duplicate", differs=True)
REFUSED_AS_ERASED = Outcome("rejected", errors=(ERASED,), kept=False)


async def store(
    connection: AsyncConnection,
    entries: Sequence[Entry],
    *,
    quarantine: Quarantine,
    import_id: UUID | None = None,
) -> list[Outcome]:
    """Write entries in the caller's transaction; final once that has committed.

    Args:
        connection: in a transaction, at READ COMMITTED.
        entries: records and rejections in the order of their arrival.
        quarantine: keeps the rejections, and the records that differ from what is
            stored under their id.
        import_id: the import that the records come from, if any.

    Returns:
        An outcome for each entry, in the same order.
    """
    records = [entry for entry in entries if isinstance(entry, Record)]
    settled_records = await store_records(connection, records, import_id=import_id)
    if len(records) == len(entries) and CONFLICT not in settled_records:
        return settled_records
    settled = iter(settled_records)
    outcomes: list[Outcome] = []
    rejected: list[Rejection] = []
    for entry in entries:
        if isinstance(entry, Rejection):
            rejected.append(entry)
            outcomes.append(Outcome("rejected", errors=entry.errors))
            continue
        outcome = next(settled)
        outcomes.append(outcome)
        if outcome.differs:
            rejected.append(reject_record(entry, ID_CONFLICT))
    kept = iter(await quarantine.keep(connection, rejected))
    return [
        outcome._replace(kept=next(kept))
        if isinstance(entry, Rejection) or outcome.differs
        else outcome
        for entry, outcome in zip(entries, outcomes, strict=True)
    ]


async def store_records(
    connection: AsyncConnection,
    records: Sequence[Record],
    *,
    import_id: UUID | None = None,
) -> list[Outcome]:
    """Store the records whose ids are new, in the caller's transaction.

    Args:
        connection: in a transaction, at READ COMMITTED.
        records: of those with one id the first is inserted; the others answer from
            it.
        import_id: the import that they come from, if any.

    Returns:
        `STORED`, `DUPLICATE`, `CONFLICT` or `REFUSED_AS_ERASED` for each record, in
        the same order.
    """
    first: dict[str, Record] = {}
    for record in records:
        first.setdefault(record.id, record)
    known = await _claim(connection, [*first.values()], import_id)
    if not known and len(first) == len(records):
        return [STORED] * len(records)
    hashes = {id_: record.content_hash for id_, record in first.items()}
    stored = await _read_stored(connection, known)
    hashes |= {id_: content_hash for id_, (content_hash, _) in stored.items()}
    erased = {id_ for id_, (_, is_erased) in stored.items() if is_erased}
    outcomes: list[Outcome] = []
    for record in records:
        if record.id in erased:
            outcomes.append(REFUSED_AS_ERASED)
        elif record.content_hash != hashes[record.id]:
            outcomes.append(CONFLICT)
        elif record.id not in known and record is first[record.id]:
            outcomes.append(STORED)
        else:
            outcomes.append(DUPLICATE)
    return outcomes


async def _claim(
    connection: AsyncConnection, records: list[Record], import_id: UUID | None
) -> set[str]:
    """Store the records whose ids are new; return the ids of the others."""
    if not records:
        return set()
    columns = dict(zip(Record._fields, zip(*records, strict=True), strict=True))
    columns["warnings"] = tuple(map(stored_warnings, columns["warnings"]))
    parameters: dict[str, Any] = {name: columns[name] for name in _STORED}
    parameters["import_id"] = import_id
    known = await connection.scalars(_CLAIM_AND_STORE, parameters)
    return {str(id_) for id_ in known}


async def _read_stored(
    connection: AsyncConnection, ids: Collection[str]
) -> dict[str, tuple[bytes, bool]]:
    """The content hash of each id, and whether its event was erased."""
    if not ids:
        return {}
    result = await connection.execute(_STORED_HASHES, {"id": list(ids)})
    return {
        str(id_): (content_hash, is_erased) for id_, content_hash, is_erased in result
    }

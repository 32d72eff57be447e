"""The statements that store the events of one bucket on its shard.

The events travel by COPY into an unlogged table that is distributed as `events` is, so
each statement after it moves rows within one shard. `INSERT ... SELECT` from parameters
would go through all shards.
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from app.pipeline.outcome import Outcome
from app.pipeline.record import Record
from app.store.quarantine.issues_json import stored_warnings
from app.store.shards.buckets import Buckets
from app.store.shards.settings import propagate_on
from app.store.write.insert import Claim, resolve_outcomes

_NOT_STORED = {"sent", "request_id"}
_COLUMNS = tuple(name for name in Record._fields if name not in _NOT_STORED)
_BATCH_BITS = 62
_CLAIM = """
INSERT INTO event_ids (bucket, id, stored_at, content_hash)
SELECT bucket, id, now(), content_hash FROM events_arriving
WHERE bucket = $1 AND batch = $2 ORDER BY id
ON CONFLICT DO NOTHING
RETURNING id
"""
# In one message, with numbers and UUIDs in the text: a round trip to the worker less.
_STORE_AND_CLEAR = """
INSERT INTO events (
    bucket, id, source, event, user_id, group_id, "timestamp", timestamp_raw,
    received_at, stored_at, message_id, properties, context, warnings, extra, import_id
)
SELECT
    bucket, id, source, event, user_id, group_id, "timestamp", timestamp_raw,
    received_at, now(), message_id, CAST(properties AS jsonb), CAST(context AS jsonb),
    CAST(warnings AS jsonb), CAST(extra AS jsonb), CAST({import_id} AS uuid)
FROM events_arriving
WHERE bucket = {bucket} AND batch = {batch}
    AND NOT id = ANY(CAST('{{{known}}}' AS uuid[]));
DELETE FROM events_arriving WHERE bucket = {bucket} AND batch = {batch}
"""
# Text and not an array, whose type the driver would have to look up.
_READ_CLAIMS = """
SELECT id, content_hash, erased_at IS NOT NULL FROM event_ids
WHERE bucket = $1 AND id = ANY(CAST(string_to_array($2::text, ',') AS uuid[]))
"""


async def claim_in_bucket(
    driver: asyncpg.Connection,
    bucket: int,
    records: Sequence[Record],
    *,
    import_id: UUID | None = None,
) -> set[str]:
    """Store the first record of each id that is new, in the caller's transaction.

    Args:
        driver: in a transaction whose settings reach the workers.
        bucket: of all records.
        records: at least one.
        import_id: the import that they come from, if any.

    Returns:
        The ids that were known before.
    """
    distinct = {record.id: record for record in reversed(records)}
    batch = secrets.randbits(_BATCH_BITS)
    try:
        await driver.copy_records_to_table(
            "events_arriving",
            records=[(bucket, batch, *_row_of(record)) for record in distinct.values()],
            columns=("bucket", "batch", *_COLUMNS),
        )
    except ValueError as error:
        # A parameter of a statement would be refused so, a row of COPY is not.
        raise asyncpg.DataError(str(error)) from error
    claimed = await driver.fetch(_CLAIM, bucket, batch)
    known = distinct.keys() - {str(id_) for (id_,) in claimed}
    await driver.execute(
        _STORE_AND_CLEAR.format(
            bucket=bucket,
            batch=batch,
            known=",".join(str(UUID(id_)) for id_ in known),
            import_id=f"'{import_id}'" if import_id else "NULL",
        )
    )
    return known


def _row_of(record: Record) -> tuple[Any, ...]:
    """The values of `_COLUMNS`."""
    id_, *before, warnings, content_hash, _sent, _request_id, extra = record
    return (id_, *before, stored_warnings(warnings), content_hash, extra)


async def read_claims_in_bucket(
    driver: asyncpg.Connection, bucket: int, ids: Collection[str]
) -> dict[str, Claim]:
    """The claims of ids that were known; an id whose event was deleted has none."""
    if not ids:
        return {}
    rows = await driver.fetch(_READ_CLAIMS, bucket, ",".join(ids))
    return {str(id_): Claim(*claim) for id_, *claim in rows}


async def store_in_buckets(
    driver: asyncpg.Connection, buckets: Buckets, records: Sequence[Record]
) -> list[Outcome]:
    """Store the records whose ids are new, in the caller's transaction.

    The transaction spans the shards of all buckets that it touches, in ascending order,
    so that two of these cannot wait for each other. For the actions of operators.

    Returns:
        `STORED`, `DUPLICATE`, `CONFLICT` or `REFUSED_AS_ERASED` for each record, in
        their order.
    """
    await propagate_on(driver)
    outcomes: dict[int, Outcome] = {}
    divided = {
        bucket: places
        for bucket, places in buckets.divide(records).items()
        if bucket is not None
    }
    for bucket, places in sorted(divided.items()):
        group = [records[place] for place in places]
        known = await claim_in_bucket(driver, bucket, group)
        claims = await read_claims_in_bucket(driver, bucket, known)
        found: Mapping[int, Any] = dict(
            zip(places, resolve_outcomes(group, known, claims), strict=True)
        )
        # Known when they were claimed, and deleted before their claims were read.
        freed = [place for place, outcome in found.items() if outcome is None]
        outcomes |= {place: found[place] for place in found.keys() - freed}
        if freed:
            again = await store_in_buckets(
                driver, buckets, [records[place] for place in freed]
            )
            outcomes |= dict(zip(freed, again, strict=True))
    return [outcomes[place] for place in range(len(records))]

"""The statements that store the events of one bucket on its shard.

A function does it on the node that holds the shard. Outside a transaction, Citus passes
the call on, and the node commits by itself.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from app.pipeline.outcome import Outcome
from app.pipeline.record import Record
from app.store.shards.buckets import Buckets
from app.store.shards.settings import prepare_transaction
from app.store.write.insert import Claim, insert_parameters, resolve_outcomes

# In a transaction, Citus counts this call as a modification, which decides on how the
# transaction commits. It writes all values into the text that it passes on.
_CLAIM_AND_STORE = """
SELECT rollcall_store_in_bucket(
    {bucket}, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16
)
"""
# As a query of one shard, the call is planned once and takes its values as parameters,
# which saves a tenth of all CPU time. An aggregate has one row even where no row
# matches. The bucket stands in the text, else Citus would plan for each value.
_CLAIM_AND_STORE_ALONE = f"""
{_CLAIM_AND_STORE}
FROM event_ids
WHERE bucket = {{bucket}} AND id = '00000000-0000-0000-0000-000000000000'
HAVING true
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
    """Store the first record of each id that is new, in one statement.

    Args:
        driver: outside a transaction, or in one of `app.store.shards.settings`.
        bucket: of all records.
        records: at least one.
        import_id: the import that they come from, if any.

    Returns:
        The ids that were known before.
    """
    distinct = {record.id: record for record in reversed(records)}
    parameters = insert_parameters([*distinct.values()], import_id)
    is_alone = not driver.is_in_transaction()
    statement = _CLAIM_AND_STORE_ALONE if is_alone else _CLAIM_AND_STORE
    known = await driver.fetchval(statement.format(bucket=bucket), *parameters)
    return set(known.split(",")) if known else set()


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
    await prepare_transaction(driver, buckets)
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

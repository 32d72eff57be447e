"""The statements that store the events of one bucket on its shard.

A function does it on the node that holds the shard. Outside a transaction, Citus passes
the call on, and the node commits by itself.
"""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from app.pipeline.outcome import Outcome
from app.pipeline.record import Record
from app.store.shards.buckets import Buckets
from app.store.shards.settings import prepare_shards
from app.store.write.insert import (
    claim_and_store,
    insert_parameters,
    read_claims,
    resolve_outcomes,
)

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


async def store_records(
    driver: asyncpg.Connection, buckets: Buckets, records: Sequence[Record]
) -> list[Outcome]:
    """Store the records whose ids are new, in the caller's transaction.

    The transaction spans the shards of all buckets that it touches, in ascending order,
    so that two of these cannot wait for each other. For the actions of operators.

    Args:
        driver: in a transaction at READ COMMITTED.
        buckets: of the database.
        records: of those with one id the first is stored; the others answer from it.

    Returns:
        `STORED`, `DUPLICATE`, `CONFLICT` or `REFUSED_AS_ERASED` for each record, in
        their order.
    """
    await prepare_shards(driver, buckets)
    outcomes: dict[int, Outcome] = {}
    divided = buckets.divide(records)
    for bucket in buckets.numbers:
        if places := divided.get(bucket):
            group = [records[place] for place in places]
            stored = await _store(driver, buckets, bucket, group)
            outcomes |= zip(places, stored, strict=True)
    return [outcomes[place] for place in range(len(records))]


async def _store(
    driver: asyncpg.Connection,
    buckets: Buckets,
    bucket: int,
    records: Sequence[Record],
) -> list[Outcome]:
    """Store the records of one bucket."""
    if buckets.is_one:
        known = await claim_and_store(driver, records)
    else:
        known = await claim_in_bucket(driver, bucket, records)
    claims = await read_claims(driver, known, bucket=bucket)
    outcomes = resolve_outcomes(records, known, claims)
    # Known when they were claimed, and deleted before their claims were read.
    freed = [r for r, outcome in zip(records, outcomes, strict=True) if not outcome]
    again = iter(await _store(driver, buckets, bucket, freed) if freed else ())
    return [outcome or next(again) for outcome in outcomes]

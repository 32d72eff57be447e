"""The statements that store events.

`event_ids` is the deduplication: an event is inserted only by the transaction that
claims its id. Ids are claimed in sorted order, because two transactions that claim in
opposite orders would wait for each other.
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import orjson

from app.pipeline.issues import ErrorCode, Issue, WarningCode
from app.pipeline.outcome import EventStatus, Outcome
from app.pipeline.record import Record
from app.store.quarantine.issues_json import stored_warnings

CONTENT_DIFFERS = Issue(
    WarningCode.CONTENT_DIFFERS,
    "",
    "An event with this id and other content is stored already and stays; "
    "this one is kept among the rejected events.",
)
CONTENT_DROPPED = CONTENT_DIFFERS._replace(
    message="An event with this id and other content is stored already and stays; "
    "this one is kept nowhere, because the quarantine has no room for it."
)
ERASED = Issue(
    ErrorCode.ERASED,
    "",
    "This event has been erased at a person's request; it is not stored again.",
)

# Each column is one text, its values separated by the mark $16: asyncpg takes four
# times as long for an array, because it checks each element against abstract classes.
# A text without any character has no value, which only `timestamp_raw` may be.
# now() is the start of the transaction, so both rows of an event hold the same
# stored_at: the id alone leads to the partition. On shards the function
# rollcall_store_in_bucket does the same with the same parameters.
CLAIM_AND_STORE = """
WITH input AS (
    SELECT
        CAST(id AS uuid) AS id, source, event, user_id, group_id,
        CAST("timestamp" AS timestamptz) AS "timestamp",
        coalesce(timestamp_raw, '') AS timestamp_raw,
        CAST(received_at AS timestamptz) AS received_at, message_id,
        CAST(properties AS jsonb) AS properties, CAST(context AS jsonb) AS context,
        CAST(warnings AS jsonb) AS warnings, CAST(extra AS jsonb) AS extra,
        decode(content_hash, 'hex') AS content_hash
    FROM unnest(
        string_to_array($1::text, $16::text), string_to_array($2::text, $16),
        string_to_array($3::text, $16), string_to_array($4::text, $16),
        string_to_array($5::text, $16, ''), string_to_array($6::text, '","'),
        string_to_array($7::text, $16), string_to_array($8::text, '","'),
        string_to_array($9::text, $16, ''), string_to_array($10::text, $16),
        string_to_array($11::text, $16), string_to_array($12::text, $16),
        string_to_array($13::text, $16), string_to_array($14::text, $16)
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
        received_at, now(), message_id, properties, context, warnings, extra, $15::uuid
    FROM input JOIN claimed USING (id)
)
SELECT id FROM input WHERE NOT EXISTS (SELECT FROM claimed WHERE claimed.id = input.id)
"""
# Stands in no text unless a client sends it on purpose.
_MARK = "\x1f"
# All but those of instants.
_MARKED_COLUMNS = 12

# A statement of its own: only a new snapshot sees what another worker has committed
# while the claim waited for it. The ids are a text and not an array, whose type the
# driver would have to look up on Citus.
_READ_CLAIMS = """
SELECT id, content_hash, erased_at IS NOT NULL FROM event_ids
WHERE bucket = $1 AND id = ANY(CAST(string_to_array($2::text, ',') AS uuid[]))
"""

STORED = Outcome(EventStatus.STORED)
DUPLICATE = Outcome(EventStatus.DUPLICATE)
CONFLICT = Outcome(EventStatus.DUPLICATE, differs=True)
REFUSED_AS_ERASED = Outcome(EventStatus.REJECTED, errors=(ERASED,), kept=False)


class Claim(NamedTuple):
    """A row of `event_ids`.

    Attributes:
        content_hash: of the stored event.
        is_erased: whether the event has been erased since.
    """

    content_hash: bytes
    is_erased: bool


async def claim_and_store(
    driver: asyncpg.Connection,
    records: Sequence[Record],
    *,
    import_id: UUID | None = None,
) -> set[str]:
    """Store the first record of each id that is new, in one statement.

    Args:
        driver: in a transaction at READ COMMITTED, or outside any: then the statement
            commits by itself.
        records: the first of those with one id is inserted.
        import_id: the import that they come from, if any.

    Returns:
        The ids that were known before.
    """
    distinct = {record.id: record for record in reversed(records)}
    if not distinct:
        return set()
    parameters = insert_parameters([*distinct.values()], import_id)
    known = await driver.fetch(CLAIM_AND_STORE, *parameters)
    return {str(id_) for (id_,) in known}


def insert_parameters(
    records: Sequence[Record], import_id: UUID | None = None, mark: str = _MARK
) -> tuple[Any, ...]:
    """The parameters of `CLAIM_AND_STORE`.

    Args:
        records: at least one.
        import_id: the import that they come from, if any.
        mark: stands between the values of a column; another one is drawn at random if
            a value contains it.
    """
    (
        ids,
        sources,
        events,
        user_ids,
        group_ids,
        timestamps,
        timestamps_raw,
        received_at,
        message_ids,
        properties,
        contexts,
        warnings,
        content_hashes,
        _sent,
        _request_ids,
        extras,
    ) = zip(*records, strict=True)
    join = mark.join
    columns = (
        join(ids),
        join(sources),
        join(events),
        join(user_ids),
        join([value or "" for value in group_ids]),
        _join_instants(timestamps),
        join(timestamps_raw),
        _join_instants(received_at),
        join([value or "" for value in message_ids]),
        join(properties),
        join(contexts),
        join(map(stored_warnings, warnings)),
        join(map(bytes.hex, content_hashes)),
        join(extras),
    )
    marks = sum(column.count(mark) for column in columns)
    if marks != (len(records) - 1) * _MARKED_COLUMNS:
        return insert_parameters(records, import_id, secrets.token_hex())
    return (*columns, import_id, mark)


def _join_instants(instants: Sequence[datetime]) -> str:
    """ISO-8601, with the mark `","` between them."""
    return orjson.dumps(instants)[2:-2].decode()


async def read_claims(
    driver: asyncpg.Connection, ids: Collection[str], *, bucket: int
) -> dict[str, Claim]:
    """The claims of ids that were known; an id whose event was deleted has none."""
    if not ids:
        return {}
    rows = await driver.fetch(_READ_CLAIMS, bucket, ",".join(ids))
    return {str(id_): Claim(*claim) for id_, *claim in rows}


def resolve_outcomes(
    records: Sequence[Record], known: Collection[str], claims: Mapping[str, Claim]
) -> list[Outcome | None]:
    """What became of each record.

    Args:
        records: as given to `claim_and_store`.
        known: ids that were known before.
        claims: of the known ids, as far as they could be read.

    Returns:
        `STORED`, `DUPLICATE`, `CONFLICT` or `REFUSED_AS_ERASED` for each record, in
        their order; None for a known id without a claim.
    """
    if not known and len({record.id for record in records}) == len(records):
        return [STORED] * len(records)
    hashes = {id_: claim.content_hash for id_, claim in claims.items()}
    outcomes: list[Outcome | None] = []
    for record in records:
        id_ = record.id
        if id_ in known and id_ not in claims:
            outcomes.append(None)
        elif id_ in claims and claims[id_].is_erased:
            outcomes.append(REFUSED_AS_ERASED)
        elif id_ not in hashes:
            hashes[id_] = record.content_hash
            outcomes.append(STORED)
        else:
            is_equal = record.content_hash == hashes[id_]
            outcomes.append(DUPLICATE if is_equal else CONFLICT)
    return outcomes

"""Correction: store an operator's payload in place of that of a rejected event.

The rejected event stays in quarantine with its own payload, marked as corrected.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import EventNotFoundError
from app.pipeline.issues import Issue
from app.pipeline.record import Policy, Record
from app.store.quarantine.replay import (
    WAITING_COLUMNS,
    Waiting,
    failure_of,
    process_again,
    store_each,
)
from app.store.tables import rejected_events
from app.store.write.insert import STORED
from app.store.write.partitions import ensure_partitions

CORRECTED = Issue(
    "corrected_by_operator", "", "An operator corrected the rejected payload."
)
_COLUMNS = rejected_events.c


class Correction(NamedTuple):
    """Result of a correction.

    Attributes:
        status: `valid` if it was only checked.
        id: of the stored event; None if it is still rejected.
        errors: why it is rejected.
        warnings: of the corrected event.
    """

    status: Literal["valid", "stored", "duplicate", "rejected"]
    id: UUID | None
    errors: Sequence[Issue] = ()
    warnings: Sequence[Issue] = ()


async def correct(
    connection: AsyncConnection,
    id_: UUID,
    payload: str,
    *,
    policy: Policy,
    check_only: bool = False,
) -> Correction:
    """Process a corrected payload as of the original receipt, and store it if valid.

    Raises:
        EventNotFoundError: no rejected event with this id waits for a correction.
    """
    row = await _lock(connection, id_)
    # The id of the message is read from the payload, or kept as it was received.
    record = process_again(
        row._replace(payload=payload, message_id=None, errors=[]), policy=policy
    )
    if isinstance(record, Record) and record.message_id is None and row.message_id:
        record = process_again(row._replace(payload=payload, errors=[]), policy=policy)
    if not isinstance(record, Record):
        return Correction("rejected", None, record)
    record = record._replace(warnings=(*record.warnings, CORRECTED))
    if check_only:
        return Correction("valid", None, (), record.warnings)
    await ensure_partitions(connection)
    [outcome] = await store_each(connection, [record])
    if (failure := failure_of(outcome)) is not None:
        return Correction("rejected", None, [failure])
    id_of_event = UUID(record.id)
    await connection.execute(
        update(rejected_events)
        .where(_COLUMNS.id == id_)
        .values(corrected_at=func.now(), corrected_as=id_of_event)
    )
    status: Literal["stored", "duplicate"] = (
        "stored" if outcome is STORED else "duplicate"
    )
    return Correction(status, id_of_event, (), record.warnings)


async def _lock(connection: AsyncConnection, id_: UUID) -> Waiting:
    query = select(*WAITING_COLUMNS).where(
        _COLUMNS.id == id_, _COLUMNS.corrected_at.is_(None)
    )
    row = (await connection.execute(query.with_for_update())).one_or_none()
    if row is None:
        raise EventNotFoundError(
            "No rejected event with this id waits for a correction."
        )
    return Waiting(*row)

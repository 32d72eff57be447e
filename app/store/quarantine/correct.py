"""Correction: store an operator's payload in place of that of a rejected event.

The rejected event stays in quarantine with its own payload, marked as corrected.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.errors import EventNotFoundError
from app.pipeline.issues import Issue, WarningCode
from app.pipeline.outcome import EventStatus
from app.pipeline.record import Policy, Record
from app.store.lifecycle.audit import record_action
from app.store.quarantine.replay import (
    WAITING_COLUMNS,
    Waiting,
    failure_of,
    process_again,
    store_each,
)
from app.store.tables import rejected_events
from app.store.write.partitions import ensure_partitions

CORRECTED = Issue(
    WarningCode.CORRECTED_BY_OPERATOR, "", "An operator corrected the rejected payload."
)
_COLUMNS = rejected_events.c


class Correction(NamedTuple):
    """Result of a correction.

    Attributes:
        status: `valid` if it was only checked.
        errors: why it is rejected.
        warnings: of the corrected event.
    """

    status: EventStatus
    errors: Sequence[Issue] = ()
    warnings: Sequence[Issue] = ()


async def correct(
    connection: AsyncConnection,
    id_: UUID,
    payload: str,
    *,
    policy: Policy,
    actor: str | None,
) -> Correction:
    """Process a corrected payload as of the original receipt, and store it if valid.

    Without an actor it is only checked. The audit log gets a row in the same
    transaction.

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
        return Correction(EventStatus.REJECTED, record)
    record = record._replace(warnings=(*record.warnings, CORRECTED))
    if actor is None:
        return Correction(EventStatus.VALID, (), record.warnings)
    await ensure_partitions(connection)
    [outcome] = await store_each(connection, [record])
    if (failure := failure_of(outcome)) is not None:
        return Correction(EventStatus.REJECTED, [failure])
    await connection.execute(
        update(rejected_events)
        .where(_COLUMNS.id == id_)
        .values(corrected_at=func.now(), corrected_as=UUID(record.id))
    )
    await record_action(
        connection,
        "rejected.correct",
        actor=actor,
        subject=str(id_),
        event=record.id,
    )
    return Correction(outcome.status, (), record.warnings)


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

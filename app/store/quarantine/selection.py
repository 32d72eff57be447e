"""Which rejected events a command means, and how it goes through them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select, tuple_

from app.store.tables.events import rejected_events

_COLUMNS = rejected_events.c
# Of rejected_events_received_at_id_idx.
RECEIPT_ORDER = (_COLUMNS.received_at, _COLUMNS.id)


@dataclass(frozen=True, slots=True)
class Selection:
    """The rejected events that match every given part; without any, all.

    Attributes:
        reason: code of the first error.
        event: its name as sent.
        source: who sent it.
        since: received then or later, aware.
        until: received then or earlier, aware.
        ids: some events by their id.
        is_corrected: whether an operator has corrected them.
    """

    reason: str | None = None
    event: str | None = None
    source: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    ids: tuple[UUID, ...] | None = None
    is_corrected: bool | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """One for each given part."""
        equal = {"reason": self.reason, "event": self.event, "source": self.source}
        conditions = [
            _COLUMNS[name] == value
            for name, value in equal.items()
            if value is not None
        ]
        if self.since is not None:
            conditions.append(_COLUMNS.received_at >= self.since)
        if self.until is not None:
            conditions.append(_COLUMNS.received_at <= self.until)
        if self.ids is not None:
            conditions.append(_COLUMNS.id.in_(self.ids))
        if self.is_corrected is not None:
            conditions.append(_COLUMNS.corrected_at.is_not(None) == self.is_corrected)
        return conditions


class Place(NamedTuple):
    """Where in the order of receipt a batch ended."""

    received_at: datetime
    id: UUID


def next_batch(
    selection: Selection, *columns: ColumnElement[Any], after: Place | None, limit: int
) -> Select[Any]:
    """The query that locks the next rows in the order of receipt.

    It passes over those that another session has locked: who has them settles them.

    Args:
        selection: give it an end, or there is always more: what just came in.
        columns: that are read.
        after: where the batch before ended.
        limit: rows.
    """
    query = select(*columns).where(*selection.conditions())
    if after is not None:
        query = query.where(tuple_(*RECEIPT_ORDER) > tuple_(*after))
    return query.order_by(*RECEIPT_ORDER).limit(limit).with_for_update(skip_locked=True)

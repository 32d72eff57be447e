"""Which stored or rejected events are read: every value is a bound parameter."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, TypeAlias
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from app.store.tables import event_ids, events, rejected_events

Columns: TypeAlias = ReadOnlyColumnCollection[str, Any]


@dataclass(frozen=True, slots=True)
class EventFilter:
    """The stored events that match every given part; without any, all.

    Attributes:
        message_id: the sender's own id of it.
        since: its timestamp is this or later, aware.
        until: its timestamp is earlier, aware.
        stored_since: stored then or later, aware.
        stored_until: stored earlier, aware.
    """

    # In the order of storing, the newest first.
    READ_BY: ClassVar = events.c.stored_at

    id: UUID | None = None
    event: str | None = None
    source: str | None = None
    user_id: str | None = None
    group_id: str | None = None
    message_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    stored_since: datetime | None = None
    stored_until: datetime | None = None

    def conditions(self, columns: Columns = events.c) -> list[ColumnElement[bool]]:
        """One for each given part, on columns of `events` or of a typed view."""
        names = ("event", "source", "user_id", "group_id", "message_id")
        conditions = _equal(columns, self, names)
        if self.id is not None:
            claim = select(event_ids.c.stored_at).where(event_ids.c.id == self.id)
            # No index of events has the id: its claim says when it was stored.
            conditions += [
                columns.id == self.id,
                columns.stored_at == claim.scalar_subquery(),
            ]
        conditions += _between(columns.timestamp, self.since, self.until)
        conditions += _between(columns.stored_at, self.stored_since, self.stored_until)
        return conditions


@dataclass(frozen=True, slots=True)
class RejectedFilter:
    """The rejected events that match every given part; without any, all.

    Attributes:
        reason: code of the first error.
        event: its name as sent.
        since: received then or later, aware.
        until: received earlier, aware.
        is_corrected: whether an operator has corrected it.
    """

    # In the order of receipt, the newest first.
    READ_BY: ClassVar = rejected_events.c.received_at

    id: UUID | None = None
    reason: str | None = None
    event: str | None = None
    source: str | None = None
    message_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    ids: tuple[UUID, ...] | None = None
    is_corrected: bool | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """One for each given part."""
        names = ("id", "reason", "event", "source", "message_id")
        conditions = _equal(rejected_events.c, self, names)
        if self.ids is not None:
            conditions.append(rejected_events.c.id.in_(self.ids))
        if self.is_corrected is not None:
            corrected_at = rejected_events.c.corrected_at
            conditions.append(corrected_at.is_not(None) == self.is_corrected)
        return conditions + _between(
            rejected_events.c.received_at, self.since, self.until
        )


def _equal(
    columns: Columns, wanted: EventFilter | RejectedFilter, names: Iterable[str]
) -> list[ColumnElement[bool]]:
    values = ((name, getattr(wanted, name)) for name in names)
    return [columns[name] == value for name, value in values if value is not None]


def _between(
    column: ColumnElement[datetime], since: datetime | None, until: datetime | None
) -> list[ColumnElement[bool]]:
    conditions = []
    if since is not None:
        conditions.append(column >= since)
    if until is not None:
        conditions.append(column < until)
    return conditions

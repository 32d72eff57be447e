"""Go through selected rejected events in the order of receipt."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select, tuple_

from app.store.read.filters import RejectedFilter
from app.store.tables.events import rejected_events

_COLUMNS = rejected_events.c
# Columns of rejected_events_received_at_id_idx.
RECEIPT_ORDER = (_COLUMNS.received_at, _COLUMNS.id)


class Place(NamedTuple):
    """Where in the order of receipt a batch ended."""

    received_at: datetime
    id: UUID


def next_batch(
    selection: RejectedFilter,
    *columns: ColumnElement[Any],
    after: Place | None,
    limit: int,
) -> Select[Any]:
    """The query that locks the next rows in the order of receipt.

    It skips rows that another session has locked: that session handles them.

    Args:
        selection: with an end, else it includes events that arrive meanwhile.
        columns: columns to read.
        after: end of the batch before.
        limit: number of rows.
    """
    query = select(*columns).where(*selection.conditions())
    if after is not None:
        query = query.where(tuple_(*RECEIPT_ORDER) > tuple_(*after))
    return query.order_by(*RECEIPT_ORDER).limit(limit).with_for_update(skip_locked=True)

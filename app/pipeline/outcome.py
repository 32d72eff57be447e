"""Outcomes: the state of an event after its request, as the response reports it."""

from enum import StrEnum
from typing import NamedTuple, TypeAlias

from app.pipeline.issues import Issue
from app.pipeline.record import Record
from app.pipeline.rejection import Rejection

Entry: TypeAlias = Record | Rejection


class EventStatus(StrEnum):
    """State of one event of a body."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    BUFFERED = "buffered"
    VALID = "valid"
    IGNORED = "ignored"


class Outcome(NamedTuple):
    """Outcome of one entry.

    Attributes:
        status: `stored` by this transaction; `duplicate` of an event that was stored
            before; `rejected`, in quarantine; `buffered`, in the journal; `valid`, of
            a dry run; `ignored`, of a call that is not an event.
        differs: for a duplicate, whether the stored event has other content.
        errors: the reasons of a rejection.
        kept: whether a rejected or differing event is in quarantine.
        rejection_id: its id there, if only the database rejected it.
        buffered: whether a rejected event waits in the journal for its place in
            quarantine.
    """

    status: EventStatus
    differs: bool = False
    errors: tuple[Issue, ...] = ()
    kept: bool = True
    rejection_id: str | None = None
    buffered: bool = False

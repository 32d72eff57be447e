"""The queue of one source, and the place of one request in it."""

from collections import deque
from collections.abc import Callable

from app.ingest.load.pacer import Pacer


class SourceQueue:
    """The requests of one source.

    Args:
        refusals: spaces out the requests that are refused for load.

    Attributes:
        active: slots that it takes.
        has_turns: whether it is among those that take turns.
        pending: units of work that wait.
        tickets: of requests that wait, with those that were given back meanwhile.
    """

    __slots__ = ("active", "has_turns", "pending", "refusals", "tickets")

    def __init__(self, refusals: Pacer) -> None:
        self.refusals = refusals
        self.active = 0
        self.has_turns = False
        self.pending = 0
        self.tickets: deque[Ticket] = deque()


class Ticket:
    """One request's place: it waits, is worked on, or was given back.

    Args:
        queue: of its source.
        slots: how many it takes while it is worked on.
        work: units of work, for the time that it takes.
        start: called when its turn has come.
    """

    __slots__ = (
        "at",
        "epoch",
        "is_active",
        "is_done",
        "queue",
        "queued_at",
        "slots",
        "start",
        "work",
    )

    def __init__(
        self, queue: SourceQueue, slots: int, work: int, start: Callable[[], None]
    ) -> None:
        self.queue = queue
        self.slots = slots
        self.work = work
        self.start = start
        self.is_active = False
        self.is_done = False
        # When its request arrived, when it began to wait here, and the scheduler's
        # epoch when the work began.
        self.at = self.queued_at = 0.0
        self.epoch = 0

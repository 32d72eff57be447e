"""The queue of one source, and the place of one request in it."""

from collections import deque
from collections.abc import Callable

from app.ingest.load.pacer import Pacer

# A request takes one slot, and one more for each so many bytes of body.
_SLOT_BYTES = 8192
# The time that it takes is one unit of work, and one more for each so many bytes. The
# limit of events in a body is a limit of its work.
_WORK_BYTES = 1024
_MAX_WORK = 2000


def slots_of(size: int) -> int:
    """The slots that a request takes, by the bytes of its body."""
    return 1 + size // _SLOT_BYTES


def work_of(size: int) -> int:
    """The units of work that a request takes, by the bytes of its body."""
    return min(1 + size // _WORK_BYTES, _MAX_WORK)


class SourceQueue:
    """The requests of one source.

    Args:
        refusals: spaces out the requests that are refused for load.

    Attributes:
        active: slots that it takes.
        began_in: number of the last iteration of the loop in which one of them was
            begun.
        has_turns: whether it is among those that take turns.
        pending: units of work that wait.
        tickets: of requests that wait, with those that were given back meanwhile.
    """

    __slots__ = ("active", "began_in", "has_turns", "pending", "refusals", "tickets")

    def __init__(self, refusals: Pacer) -> None:
        self.refusals = refusals
        self.active = 0
        self.began_in = -1
        self.has_turns = False
        self.pending = 0
        self.tickets: deque[Ticket] = deque()

    def first(self) -> "Ticket | None":
        """The ticket whose turn is next; those that were given back are forgotten."""
        while self.tickets and self.tickets[0].is_done:
            self.tickets.popleft()
        return self.tickets[0] if self.tickets else None


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

    def take_start(self) -> Callable[[], None]:
        """Return `start` and forget it: no cycle keeps the request in memory."""
        start, self.start = self.start, _nothing
        return start


def _nothing() -> None:
    """For a ticket that has begun, or was given back."""

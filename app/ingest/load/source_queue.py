"""The queue of one source, and the place of one request in it."""

from collections import deque
from collections.abc import Callable


class SourceQueue:
    """The requests of one source.

    Attributes:
        active: units of work under way.
        pending: units of work that wait.
        refusal_at: until when the connection refused last is left unread.
        tickets: of requests that wait, with those that were given back meanwhile.
    """

    __slots__ = ("active", "pending", "refusal_at", "tickets")

    def __init__(self) -> None:
        self.refusal_at = float("-inf")
        self.active = 0
        self.pending = 0
        self.tickets: deque[Ticket] = deque()


class Ticket:
    """One request's place: it waits, is worked on, or was given back.

    Args:
        queue: of its source.
        units: its work.
        start: called when its turn has come.
    """

    __slots__ = ("at", "epoch", "is_active", "is_done", "queue", "start", "units")

    def __init__(
        self, queue: SourceQueue, units: int, start: Callable[[], None]
    ) -> None:
        self.queue = queue
        self.units = units
        self.start = start
        self.is_active = False
        self.is_done = False
        # When it began to wait, and the scheduler's epoch when the work began.
        self.at = 0.0
        self.epoch = 0

"""A scheduler on a clock that a test moves."""

from collections.abc import Callable

from app.ingest.load.scheduler import Scheduler
from app.ingest.load.source_queue import Ticket

SLOTS = 8
SHARED = 2


class Loop:
    """An event loop whose time and timers a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self._timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay_s: float, call: Callable[[], None]) -> None:
        self._timers.append((self.now + delay_s, call))

    def advance(self, seconds: float = 0.0) -> None:
        """Let time pass, and call the timers that are due by then."""
        self.now += seconds
        while due := [timer for timer in self._timers if timer[0] <= self.now]:
            self._timers = [timer for timer in self._timers if timer[0] > self.now]
            for _, call in due:
                call()


class Work:
    """Requests of several sources at one scheduler."""

    def __init__(self, max_wait_s: float = 1.5, shared_slots: int = SHARED) -> None:
        self.loop = Loop()
        self.scheduler = Scheduler(
            SLOTS,
            shared_slots=shared_slots,
            max_wait_s=max_wait_s,
            call_later=self.loop.call_later,
            clock=self.loop.time,
        )
        self.started: list[str] = []

    def send(self, source: str, name: str = "", size: int = 0) -> Ticket:
        name = name or source

        def start() -> None:
            self.started.append(name)

        ticket = self.scheduler.enter(source, size, start)
        if ticket.is_active:
            start()
        return ticket

    def end(self, ticket: Ticket) -> None:
        self.scheduler.leave(ticket)
        self.loop.advance()

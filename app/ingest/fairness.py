"""Whose turn it is: what one source has under way while others send, too."""

import asyncio
from collections import deque
from collections.abc import Callable

# What a source may have under way, in units: a request is one, and one more for each
# so many bytes of its body.
TURN_UNITS = 16
UNIT_BYTES = 4096
# What takes longer waits for the database, which costs the others nothing.
TURN_S = 0.05
# For so long after another source has sent something, a source is not alone.
_COMPANY_S = 60.0


class Turn:
    """The work of one request.

    Attributes:
        units: how much it is.
        epoch: in which it began; before that -1.
        begun: what to wait for; None where it began at once.
    """

    __slots__ = ("begun", "epoch", "units")

    def __init__(self, units: int) -> None:
        self.units = units
        self.epoch = -1
        self.begun: asyncio.Future[None] | None = None


class Line:
    """The requests and the bytes of one source; some of it waits for its turn.

    Attributes:
        held: bytes in flight.
        requests: in flight, a large one counted as several.
    """

    __slots__ = ("_epoch", "_timed", "_units", "_waiting", "held", "requests")

    def __init__(self) -> None:
        self.held = 0
        self.requests = 0
        self._units = 0
        # What began in an earlier epoch is not counted in the units any more.
        self._epoch = 0
        self._timed = False
        self._waiting: deque[Turn] = deque()

    def take(self, size: int, *, alone: bool) -> Turn:
        """Begin to work on a request, or stand in line.

        Args:
            size: of its body.
            alone: whether nobody else sends: then all begin at once.
        """
        turn = Turn(1 + size // UNIT_BYTES)
        if alone or (not self._waiting and self._has_room(turn)):
            self._begin(turn)
            return turn
        turn.begun = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._time()
        return turn

    def give_back(self, turn: Turn) -> None:
        """The request is done with, or is not waited for any more."""
        if turn.epoch == self._epoch:
            self._units -= turn.units
        elif turn.begun is not None:
            turn.begun.cancel()
        if self._waiting:
            self._go_on()

    def _has_room(self, turn: Turn) -> bool:
        # What is larger than all room may go when nothing else does.
        return not self._units or self._units + turn.units <= TURN_UNITS

    def _begin(self, turn: Turn) -> None:
        self._units += turn.units
        turn.epoch = self._epoch

    def _go_on(self) -> None:
        while self._waiting and self._has_room(self._waiting[0]):
            turn = self._waiting.popleft()
            if turn.begun is not None and not turn.begun.done():
                self._begin(turn)
                turn.begun.set_result(None)

    def _time(self) -> None:
        """End this epoch in time; once, however often the line is empty meanwhile."""
        if self._waiting and not self._timed:
            self._timed = True
            asyncio.get_running_loop().call_later(TURN_S, self._next_epoch)

    def _next_epoch(self) -> None:
        self._timed = False
        self._epoch += 1
        self._units = 0
        self._go_on()
        self._time()


class Company:
    """Knows whether a source sends alone.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: Line | None = None
        self._alone_from = 0.0

    def is_alone(self, line: Line) -> bool:
        """Whether no other source than this, which sends now, has done so lately."""
        if line is self._last and not self._alone_from:
            return True
        now = self._clock()
        if line is not self._last:
            self._alone_from = now + _COMPANY_S if self._last else 0.0
            self._last = line
        elif self._alone_from < now:
            self._alone_from = 0.0
        return not self._alone_from

"""Which requests are worked on, and which wait: back-pressure, fair between sources.

A limited number of requests is worked on at a time. The others wait, each source in a
queue of its own, and sources take turns. A keep-alive connection has one request under
way, so TCP holds back whatever else its client has to send. A request is refused on
arrival, and only when it would wait so long that it could not be answered in time.
"""

import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from app.ingest.load.iteration_budget import IterationBudget
from app.ingest.load.pacer import Pacer
from app.ingest.load.source_queue import SourceQueue, Ticket, slots_of, work_of
from app.ingest.load.work_rate import WorkRate
from app.request_errors import OverloadedError

# A source counts as the only sender after so many seconds without another.
_ALONE_AFTER_S = 60.0
# A refusal costs as much as a single event, so clients that retry at once would use up
# all time. A source gets at most this many refusals for each unit of work: its refused
# connections are left unread meanwhile, at most this long.
_REFUSALS_PER_UNIT = 0.5
_DEFAULT_REFUSALS = 1000.0
_MAX_BACK_OFF_S = 5.0
# A request that has waited this much longer than allowed is not begun: it could not be
# answered in time, and its work would delay the others.
_LATE_S = 0.4
# Fraction of the recent rate that is expected: a checkpoint of Postgres takes its part.
_EXPECTED_PART = 0.9
# Units of work that are begun in an iteration of the event loop while several sources
# send, about 2 ms: many small bodies, or one of a hundred events. A request of a sender
# with few waits for four iterations, for the connection, its turn, the commit and the
# response.
UNITS_PER_ITERATION = 32

CallLater = Callable[[float, Callable[[], None]], Any]

# If no work is completed for so long, the work under way waits for the database. That
# costs the others nothing, so this work is no longer counted.
STALL_S = 0.25


class Scheduler:
    """Gives each request its turn: the slots in which it is worked on.

    Args:
        slots: those of all work under way, and those of a source that is alone.
        shared_slots: those of one source while others send, too.
        max_wait_s: the longest wait that leaves time for the commit.
        call_later: has the event loop call a function after some seconds.
        clock: monotonic seconds.

    Attributes:
        active: slots that are taken.
        waiting: requests that wait.
    """

    def __init__(
        self,
        slots: int,
        *,
        shared_slots: int,
        max_wait_s: float,
        call_later: CallLater,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.slots = slots
        self.active = 0
        self.waiting = 0
        self._shared_slots = min(shared_slots, slots)
        self._max_wait_s = max_wait_s
        self._call_later = call_later
        self._clock = clock
        # One for each source ever seen; a client cannot make up any.
        self._queues: dict[str, SourceQueue] = {}
        self._unauthenticated = self._queue("")
        # Queues with tickets, each once, in the order of their turns.
        self._rounds: deque[SourceQueue] = deque()
        # Units of work that wait, and of work of known senders that is under way.
        self._pending = self._working = 0
        self._last: SourceQueue | None = None
        self._alone_from = 0.0
        self._rate = WorkRate(clock)
        self._iteration = IterationBudget(
            UNITS_PER_ITERATION, partial(call_later, 0), self._pump
        )
        # Raised when the work under way is no longer counted.
        self._epoch = 0
        self._completed_at = float("-inf")
        self._is_timed = False

    def check(self, source: str, waited_s: float = 0.0) -> None:
        """Refuse a request whose turn would come too late.

        Args:
            source: the sender.
            waited_s: time since the request arrived.

        Raises:
            OverloadedError: it would wait too long.
        """
        if (
            self._pending
            and waited_s + self._expected_wait_s(self._queue(source)) > self._max_wait_s
        ):
            raise OverloadedError(
                "More requests are waiting than can be answered in time; send this "
                "again."
            )

    def back_off_s(self, source: str) -> float:
        """How long to leave a connection unread whose request was refused.

        Args:
            source: the sender; "" if it is unknown.
        """
        rate = min(_REFUSALS_PER_UNIT * self._rate.get(), _DEFAULT_REFUSALS)
        return self._queue(source).refusals.pause_s(rate)

    def enter(
        self,
        source: str,
        size: int,
        start: Callable[[], None],
        *,
        arrived_at: float | None = None,
    ) -> Ticket:
        """Take a turn, at once (`is_active`) or later, when `start` is called.

        Args:
            source: the sender; "" if it is unknown.
            size: of the body, decompressed.
            start: begins to work on the request; or refuses it, if it `is_done`
                because its turn came too late.
            arrived_at: when its last byte arrived, on the clock; now by default.

        Raises:
            OverloadedError: it would wait too long.
        """
        queue = self._queue(source)
        # Clients without a known key have the share of one source, even while another
        # source is alone.
        slots = min(slots_of(size), self.slots if source else self._shared_slots)
        ticket = Ticket(queue, slots, work_of(size), start)
        is_alone = bool(source) and self._is_alone(queue)
        if not queue.tickets and self._has_room(ticket, is_alone=is_alone):
            self._activate(ticket)
            return ticket
        now = self._clock()
        ticket.queued_at = now
        ticket.at = now if arrived_at is None else arrived_at
        self.check(source, now - ticket.at)
        if source and self._pending == self._unauthenticated.pending:
            self._rate.start()
        if not queue.has_turns:
            queue.has_turns = True
            self._rounds.append(queue)
        queue.tickets.append(ticket)
        queue.pending += ticket.work
        self._pending += ticket.work
        self.waiting += 1
        self._time_stall()
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give a turn back; harmless when done twice."""
        if ticket.is_done:
            return
        ticket.is_done = True
        ticket.take_start()
        if ticket.is_active:
            self._complete(ticket)
        else:
            self._unqueue(ticket)
        if self._rounds:
            self._iteration.wake()

    def _complete(self, ticket: Ticket) -> None:
        if ticket.epoch == self._epoch:
            self.active -= ticket.slots
            self._working -= self._known_work(ticket)
            ticket.queue.active -= ticket.slots
        if self._pending:
            self._completed_at = self._clock()
        # A request without a known key is cheap, or waits for the look-up of a key: it
        # says nothing about the rate of the others.
        if ticket.queue is not self._unauthenticated:
            is_saturated = self._pending > self._unauthenticated.pending
            self._rate.add(ticket.work, is_saturated=is_saturated)

    def _known_work(self, ticket: Ticket) -> int:
        return 0 if ticket.queue is self._unauthenticated else ticket.work

    def _time_stall(self) -> None:
        if not self._is_timed:
            self._is_timed = True
            self._call_later(STALL_S, self._end_stall)

    def _end_stall(self) -> None:
        """If no work was completed lately, make room for more."""
        self._is_timed = False
        if not self._pending:
            return
        if self._clock() - self._completed_at >= STALL_S:
            self._epoch += 1
            self.active = self._working = 0
            for queue in self._queues.values():
                queue.active = 0
            self._iteration.wake()
        self._time_stall()

    def _pump(self) -> None:
        """Begin with what there is room for, one request of each source in turn."""
        passed = 0
        while self._rounds and passed < len(self._rounds) and self.active < self.slots:
            queue = self._rounds.popleft()
            ticket = queue.first()
            if ticket is None:
                queue.has_turns = False
                continue
            has_room = self._has_room(ticket, is_alone=queue is self._alone)
            if has_room:
                queue.tickets.popleft()
                self._unqueue(ticket)
                if self._clock() - ticket.at > self._max_wait_s + _LATE_S:
                    ticket.is_done = True
                else:
                    self._activate(ticket)
            queue.has_turns = bool(queue.tickets)
            if queue.has_turns:
                self._rounds.append(queue)
            passed = 0 if has_room else passed + 1
            if has_room:
                ticket.take_start()()

    def _has_room(self, ticket: Ticket, *, is_alone: bool) -> bool:
        queue, slots = ticket.queue, ticket.slots
        most = self.slots if is_alone else self._shared_slots
        fits_source = not queue.active or queue.active + slots <= most
        fits_all = not self.active or self.active + slots <= self.slots
        # The first small request of a source in an iteration delays nobody, and must
        # not wait for the next iteration behind a body of a hundred events.
        is_light = ticket.work == 1 and queue.began_in != self._iteration.number
        fits_iteration = is_alone or is_light or self._iteration.fits(ticket.work)
        return fits_source and fits_all and fits_iteration

    def _activate(self, ticket: Ticket) -> None:
        ticket.is_active = True
        self._iteration.take(ticket.work)
        ticket.queue.began_in = self._iteration.number
        ticket.epoch = self._epoch
        self.active += ticket.slots
        self._working += self._known_work(ticket)
        ticket.queue.active += ticket.slots

    def _unqueue(self, ticket: Ticket) -> None:
        ticket.queue.pending -= ticket.work
        self._pending -= ticket.work
        self.waiting -= 1

    def _queue(self, source: str) -> SourceQueue:
        queue = self._queues.get(source)
        if queue is None:
            refusals = Pacer(_MAX_BACK_OFF_S, self._clock)
            queue = self._queues[source] = SourceQueue(refusals)
        return queue

    @property
    def _alone(self) -> SourceQueue | None:
        return None if self._alone_from else self._last

    def _is_alone(self, queue: SourceQueue) -> bool:
        """Whether no other source than this, which sends now, has sent lately."""
        if queue is self._last and not self._alone_from:
            return True
        now = self._clock()
        if queue is not self._last:
            self._alone_from = now + _ALONE_AFTER_S if self._last else 0.0
            self._last = queue
        elif self._alone_from < now:
            self._alone_from = 0.0
        return not self._alone_from

    def _expected_wait_s(self, queue: SourceQueue) -> float:
        first = queue.first()
        if first is None:
            return 0.0
        # Sources take turns: for each unit of its own queue one of every other.
        ahead = min(self._pending, queue.pending * max(1, len(self._rounds)))
        ahead += self._working
        # The rate may have fallen since it was measured: a new request waits at least
        # about as long as the first in the queue has waited.
        expected_s = ahead / (_EXPECTED_PART * self._rate.get())
        return max(expected_s, self._clock() - first.queued_at)

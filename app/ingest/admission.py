"""How much may be in flight in one worker, and in one source.

In flight are bytes of bodies, from the first one to the commit, and requests, from the
last byte of their body to their answer; there a large one counts as several, so that
no more of them wait than can be done while their senders wait.

A source that sends alone may use all of the worker. While there are others, it is held
to a share, so that whatever it sends too much of waits behind itself, or is refused,
and slows nobody else down.
"""

import asyncio
import time
from collections.abc import Callable

from app.errors import OverloadedError, TooManyRequestsError
from app.ingest.fairness import Company, Line, Turn

# A source may hold so many times as much as it leaves to the others.
_SHARE = 3
# A request counts as one, and as one more for each so many bytes of its body; but as no
# more than this part of all, so that some of the largest can be in flight, too.
_REQUEST_BYTES = 8192
_LARGEST_PART = 3


class Admission:
    """The budget that all requests share.

    Args:
        limit: bytes of bodies in flight.
        max_requests: requests in flight, a large one counted as several.
        clock: monotonic seconds.

    Attributes:
        largest: what a request counts as at most.
        company: knows whether a source sends alone.
    """

    def __init__(
        self,
        limit: int,
        max_requests: int,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit = limit
        self.max_requests = max_requests
        self.largest = max(1, max_requests // _LARGEST_PART)
        self.used = 0
        self.requests = 0
        # One for each source that was ever seen; no sender can make up any.
        self._lines: dict[str, Line] = {}
        self.company = Company(clock)

    @property
    def is_full(self) -> bool:
        """Whether there is no room for a request, whosesoever it is."""
        return self.requests >= self.max_requests

    def lease(self, source: str = "") -> "Lease":
        """The share of one request, still empty.

        Raises:
            OverloadedError, TooManyRequestsError: there is no room for a request.
        """
        line = self._lines.get(source)
        if line is None:
            line = self._lines[source] = Line()
        self.check_requests(line)
        return Lease(self, line)

    def check_requests(self, line: Line) -> None:
        """Refuse a request where the worker, or this source, has too many.

        Raises:
            OverloadedError, TooManyRequestsError.
        """
        left = self.max_requests - self.requests
        if left <= 0:
            raise full()
        if line.requests >= _SHARE * left and len(self._lines) > 1:
            raise _over_share("requests")

    def check_bytes(self, line: Line, more: int) -> None:
        """Refuse bytes where the worker, or this source, holds too many.

        Raises:
            OverloadedError, TooManyRequestsError.
        """
        left = self.limit - self.used - more
        if left < 0:
            raise OverloadedError(
                "This worker holds as many bytes as it may; send this again."
            )
        # What a source sends first may take all there is, or it might never fit.
        if line.held and line.held + more > _SHARE * left and len(self._lines) > 1:
            raise _over_share("bytes")


class Lease:
    """What one request holds of the budget; given back once, when it is done with."""

    __slots__ = ("_admission", "_held", "_line", "_turn", "_weight")

    def __init__(self, admission: Admission, line: Line) -> None:
        self._admission = admission
        self._line = line
        self._held = 0
        self._turn: Turn | None = None
        self._weight = 0

    def hold(self, size: int) -> None:
        """Hold at least `size` bytes.

        Raises:
            OverloadedError, TooManyRequestsError: there are not so many left.
        """
        more = size - self._held
        if more <= 0:
            return
        self._admission.check_bytes(self._line, more)
        self._admission.used += more
        self._line.held += more
        self._held += more

    def enter(self, size: int) -> asyncio.Future[None] | None:
        """Count the request, whose body is there; its work begins, or must wait.

        Args:
            size: of the body, decompressed.

        Returns:
            What to wait for before the work begins; None where it may at once.

        Raises:
            OverloadedError, TooManyRequestsError: there is no room for a request.
        """
        admission, line = self._admission, self._line
        admission.check_requests(line)
        weight = min(1 + size // _REQUEST_BYTES, admission.largest)
        admission.requests += weight
        line.requests += weight
        self._weight = weight
        self._turn = line.take(size, alone=admission.company.is_alone(line))
        return self._turn.begun

    def release(self) -> None:
        """Give back all of it; harmless when done twice."""
        self._admission.used -= self._held
        self._line.held -= self._held
        self._held = 0
        turn, self._turn = self._turn, None
        if turn is not None:
            self._admission.requests -= self._weight
            self._line.requests -= self._weight
            self._line.give_back(turn)

    def move_to(self, admission: Admission, source: str) -> "Lease":
        """Hold the same bytes of another budget instead, and no request yet.

        Raises:
            OverloadedError, TooManyRequestsError: it has not that much left; what was
                held is given back.
        """
        size = self._held
        self.release()
        lease = admission.lease(source)
        lease.hold(size)
        return lease

    def hand_over(self) -> "Lease":
        """Move the bytes to a lease of their own; this one holds none then."""
        lease = Lease(self._admission, self._line)
        lease._held, self._held = self._held, 0
        return lease


def full() -> OverloadedError:
    """What a request is told that has no room."""
    return OverloadedError(
        "This worker has as many requests in flight as it may; send this again."
    )


def _over_share(what: str) -> TooManyRequestsError:
    return TooManyRequestsError(
        f"This source has as many {what} in flight as it may while others send, too; "
        "send this again."
    )

"""How much may be in flight in one worker, counted in bytes of bodies."""

from app.errors import OverloadedError


class Admission:
    """The budget that all bodies share, from their first byte to their commit.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def lease(self) -> "Lease":
        """A share of the budget, still empty."""
        return Lease(self)


class Lease:
    """What one body holds of the budget; given back once, when it is done with."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._held = 0

    def hold(self, size: int) -> None:
        """Hold at least `size` bytes.

        Raises:
            OverloadedError: the budget has not that much left.
        """
        more = size - self._held
        if more <= 0:
            return
        if self._admission.used + more > self._admission.limit:
            raise OverloadedError(
                "This worker holds as many bytes as it may; send this again."
            )
        self._admission.used += more
        self._held += more

    def release(self) -> None:
        """Give back all of it; harmless when done twice."""
        self._admission.used -= self._held
        self._held = 0

    def move_to(self, admission: Admission) -> "Lease":
        """Hold the same of another budget instead.

        Raises:
            OverloadedError: it has not that much left; what was held is given back.
        """
        size = self._held
        self.release()
        lease = admission.lease()
        lease.hold(size)
        return lease

    def hand_over(self) -> "Lease":
        """Move what is held to a lease of its own; this one is empty then."""
        lease = self._admission.lease()
        lease._held, self._held = self._held, 0  # noqa: SLF001 - of the same class
        return lease

"""How many bytes of bodies one worker holds, and each source of them.

Bytes count from their arrival to their commit. A source that sends alone may use the
whole budget. While there are others it is held to a share, so that it delays nobody
but itself.
"""

from app.request_errors import OverloadedError, TooManyRequestsError

# A source may hold so many times as much as it leaves to the others.
_SHARE = 3


class ByteBudget:
    """Bytes that all requests share.

    Args:
        limit: of bytes held.

    Attributes:
        used: bytes held.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        # Bytes held by each source that was ever seen; a client cannot make up any.
        self._held: dict[str, int] = {}

    def permit(self, source: str) -> "Permit":
        """A permit of one request, for no bytes yet."""
        self._held.setdefault(source, 0)
        return Permit(self, source)

    def acquire(self, source: str, size: int) -> None:
        """Hold more bytes for a source.

        Raises:
            OverloadedError: the worker holds too many.
            TooManyRequestsError: this source does.
        """
        left = self.limit - self.used - size
        if left < 0:
            raise OverloadedError(
                "This worker holds as many bytes as it may; send this again."
            )
        held = self._held[source]
        # The first body of a source may take the whole budget, or a large one would
        # never fit.
        if held and held + size > _SHARE * left and len(self._held) > 1:
            raise TooManyRequestsError(
                "This source has as many bytes in flight as it may while others send, "
                "too; send this again."
            )
        self.used += size
        self._held[source] = held + size

    def release(self, source: str, size: int) -> None:
        """Give bytes of a source back."""
        self.used -= size
        self._held[source] -= size


class Permit:
    """The bytes that one request holds."""

    __slots__ = ("_budget", "_size", "_source")

    def __init__(self, budget: ByteBudget, source: str) -> None:
        self._budget = budget
        self._source = source
        self._size = 0

    def grow(self, size: int) -> None:
        """Hold at least so many bytes.

        Raises:
            OverloadedError, TooManyRequestsError: there are not so many left.
        """
        more = size - self._size
        if more > 0:
            self._budget.acquire(self._source, more)
            self._size = size

    def grow_to_fit(self, size: int) -> None:
        """Hold at least so many bytes, or as many as are left.

        Raises:
            OverloadedError, TooManyRequestsError: none are left.
        """
        left = self._budget.limit - self._budget.used
        self.grow(min(size, self._size + max(1, left)))

    def move(self, budget: ByteBudget, source: str) -> None:
        """Hold the same bytes of another budget instead.

        Raises:
            OverloadedError, TooManyRequestsError: it has not so many left; then no
                bytes are held.
        """
        size = self._size
        self.release()
        self._budget, self._source = budget, source
        budget.permit(source)
        self.grow(size)

    def release(self) -> None:
        """Give all of it back; harmless when done twice."""
        size, self._size = self._size, 0
        self._budget.release(self._source, size)

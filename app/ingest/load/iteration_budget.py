"""How much work is begun in one iteration of the event loop."""

from collections.abc import Callable


class IterationBudget:
    """Units of work that may be begun before the event loop looks at its connections.

    Args:
        units: of one iteration.
        call_soon: has the event loop call a function in its next iteration.
        on_iteration: called at the beginning of an iteration after one in which work
            was begun, or `wake` was called.

    Attributes:
        number: of the iteration, among those.
    """

    __slots__ = ("_call_soon", "_is_due", "_left", "_on_iteration", "_units", "number")

    def __init__(
        self,
        units: int,
        call_soon: Callable[[Callable[[], None]], object],
        on_iteration: Callable[[], None],
    ) -> None:
        self._units = self._left = units
        self._call_soon = call_soon
        self._on_iteration = on_iteration
        self._is_due = False
        self.number = 0

    def fits(self, units: int) -> bool:
        """Whether so much work may be begun now; any work as the first."""
        return units <= self._left or self._left == self._units

    def take(self, units: int) -> None:
        """Begin with so much work."""
        self._left -= units
        self.wake()

    def wake(self) -> None:
        """Have a new iteration begin."""
        if not self._is_due:
            self._is_due = True
            self._call_soon(self._begin)

    def _begin(self) -> None:
        self._is_due = False
        self.number += 1
        self._left = self._units
        self._on_iteration()

"""How much work is begun in one turn of the event loop."""

from collections.abc import Callable


class TurnBudget:
    """Units of work that may be begun before the event loop looks at its connections.

    Args:
        units: of one turn.
        call_soon: has the event loop call a function in its next turn.
        on_turn: called at the beginning of a turn after one in which work was begun, or
            `wake` was called.

    Attributes:
        number: of the turn, among those.
    """

    __slots__ = ("_call_soon", "_is_due", "_left", "_on_turn", "_units", "number")

    def __init__(
        self,
        units: int,
        call_soon: Callable[[Callable[[], None]], object],
        on_turn: Callable[[], None],
    ) -> None:
        self._units = self._left = units
        self._call_soon = call_soon
        self._on_turn = on_turn
        self._is_due = False
        self.number = 0

    def fits(self, units: int) -> bool:
        """Whether so much work may be begun now; any work as the first of a turn."""
        return units <= self._left or self._left == self._units

    def take(self, units: int) -> None:
        """Begin with so much work."""
        self._left -= units
        self.wake()

    def wake(self) -> None:
        """Have a new turn begin."""
        if not self._is_due:
            self._is_due = True
            self._call_soon(self._begin)

    def _begin(self) -> None:
        self._is_due = False
        self.number += 1
        self._left = self._units
        self._on_turn()

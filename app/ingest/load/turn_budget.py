"""How much work is begun in one turn of the event loop while several sources send."""

from collections.abc import Callable

# Units of work, about 2 ms: many small bodies, or one of a hundred events. A request
# of a sender with few waits for four turns, for the connection, its turn, the commit
# and the response.
UNITS_PER_TURN = 32


class TurnBudget:
    """Units of work that may be begun before the event loop looks at its connections.

    Args:
        call_soon: has the event loop call a function in its next turn.
        on_turn: called at the beginning of a turn after one in which work was begun.

    Attributes:
        number: of the turn, among those in which work was begun.
    """

    __slots__ = ("_call_soon", "_left", "_on_turn", "number")

    def __init__(
        self,
        call_soon: Callable[[Callable[[], None]], object],
        on_turn: Callable[[], None],
    ) -> None:
        self._call_soon = call_soon
        self._on_turn = on_turn
        self._left = UNITS_PER_TURN
        self.number = 0

    def fits(self, units: int) -> bool:
        """Whether so much work may be begun now; any work as the first of a turn."""
        return units <= self._left or self._left == UNITS_PER_TURN

    def take(self, units: int) -> None:
        """Begin with so much work."""
        if self._left == UNITS_PER_TURN:
            self._call_soon(self._begin_turn)
        self._left -= units

    def _begin_turn(self) -> None:
        self.number += 1
        self._left = UNITS_PER_TURN
        self._on_turn()

"""How much work is completed in a second, while some waits."""

from collections.abc import Callable

# The rate is measured over periods this long, and forgotten after that many seconds.
_RATE_PERIOD_S = 0.5
_RATE_LIFE_S = 5.0
# Assumed until it is measured. A burst of which more can wait would have used up the
# time of all its requests before the first of them is completed.
_ASSUMED_RATE = 3000.0
# Weight of the newest period.
_RATE_SMOOTHING = 0.5


class WorkRate:
    """Units of work completed a second while some waited.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rate = _ASSUMED_RATE
        self._since = self._measured_at = float("-inf")
        self._units = 0

    def start(self) -> None:
        """Work begins to wait: before, the rate was that of arrivals."""
        self._since = self._clock()
        self._units = 0

    def add(self, units: int) -> None:
        """Count work that was completed."""
        self._units += units
        now = self._clock()
        period = now - self._since
        if period < _RATE_PERIOD_S:
            return
        rate = self._units / period
        if self._is_known(now):
            rate = self._rate + _RATE_SMOOTHING * (rate - self._rate)
        self._rate = rate
        self._measured_at = self._since = now
        self._units = 0

    def get(self) -> float:
        """The rate; an assumed one where none was measured lately."""
        return self._rate if self._is_known(self._clock()) else _ASSUMED_RATE

    def _is_known(self, now: float) -> bool:
        return now - self._measured_at < _RATE_LIFE_S

"""How much work is completed in a second when there is as much as can be done."""

from collections.abc import Callable

# The rate is measured over periods this long, and forgotten after that many seconds.
# The first period is short: a burst may be over soon.
_FIRST_PERIOD_S = 0.1
_RATE_PERIOD_S = 0.5
_RATE_LIFE_S = 60.0
# Assumed until it is measured: more than a worker can do. To refuse a single event
# takes as long as to store it, so a burst is refused only for a rate that is known.
_ASSUMED_RATE = 20_000.0
# Weight of a period that was better than those before. A worse one counts in full, or
# more requests would be accepted than can be answered in time.
_RATE_SMOOTHING = 0.2


class WorkRate:
    """Units of work completed in a second, if enough of them wait.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rate = _ASSUMED_RATE
        self._since = self._measured_at = float("-inf")
        self._units = 0
        # Whether work has waited in all of the period.
        self._is_saturated = False
        self._was_idle = False

    def start(self) -> None:
        """Work begins to wait; after an idle time, a new period begins.

        It begins with the first completion: the arrival of a burst takes time, too.
        """
        self._was_idle = self._clock() - self._since >= _RATE_PERIOD_S

    def add(self, units: int, *, is_saturated: bool) -> None:
        """Count work that was completed.

        Args:
            units: of work.
            is_saturated: whether more waits.
        """
        if self._was_idle:
            self._was_idle = False
            self._begin_period()
            return
        self._units += units
        self._is_saturated &= is_saturated
        period = self._clock() - self._since
        if period < (_RATE_PERIOD_S if self._is_known() else _FIRST_PERIOD_S):
            return
        rate = self._units / period
        if self._is_saturated:
            self._correct(rate)
        elif rate > self.get():  # at least so much can be done
            self._set(rate)
        self._begin_period()

    def get(self) -> float:
        """The rate; an assumed one where none was measured lately."""
        return self._rate if self._is_known() else _ASSUMED_RATE

    def _is_known(self) -> bool:
        return self._clock() - self._measured_at < _RATE_LIFE_S

    def _correct(self, rate: float) -> None:
        if self._is_known() and rate > self._rate:
            rate = self._rate + _RATE_SMOOTHING * (rate - self._rate)
        self._set(rate)

    def _set(self, rate: float) -> None:
        self._rate = rate
        self._measured_at = self._clock()

    def _begin_period(self) -> None:
        self._since = self._clock()
        self._units = 0
        self._is_saturated = True

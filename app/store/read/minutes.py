"""How much arrived in each minute of the last hour, as far as it has been counted."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from app.store.read.arrivals import Counts

MINUTE = timedelta(minutes=1)
SHOWN = 60

Span = tuple[datetime, datetime]


class Minutes:
    """The counts of minutes, kept for those who watch next.

    What arrives is added as it settles. What came before somebody watched are gaps,
    one a minute, which are counted one by one: all at once could be millions of rows.
    """

    def __init__(self) -> None:
        self._counts: dict[datetime, Counts] = {}
        self._gaps: list[Span] = []
        self._until: datetime | None = None

    def begin(self, settled: datetime) -> None:
        """Go on from `settled`, after a time in which nothing was added."""
        current = _minute_of(settled)
        shown = [current - back * MINUTE for back in reversed(range(SHOWN))]
        known = dict(self.known())
        if self._until is not None:
            known.pop(_minute_of(self._until), None)
        self._counts = {minute: known[minute] for minute in shown if minute in known}
        self._gaps = [
            (minute, min(minute + MINUTE, settled))
            for minute in shown
            if minute not in known
        ]
        self._until = settled

    def add(
        self, found: Mapping[datetime, Counts], *, until: datetime
    ) -> set[datetime]:
        """Add what arrived since the last time, and until `until`.

        Returns:
            The minutes that have changed, or begun.
        """
        minute = _minute_of(self._until or until)
        changed = {*found}
        while minute <= until:
            if minute not in self._counts:
                self._counts[minute] = Counts(0, 0)
                changed.add(minute)
            minute += MINUTE
        self._until = until
        self._plus(found)
        oldest = _minute_of(until) - SHOWN * MINUTE
        self._counts = {m: c for m, c in self._counts.items() if m > oldest}
        return changed

    def gap(self) -> Span | None:
        """The newest that is still to be counted."""
        return self._gaps[-1] if self._gaps else None

    def fill(self, gap: Span, found: Mapping[datetime, Counts]) -> None:
        """Add what was counted in a gap."""
        self._gaps.remove(gap)
        self._counts.setdefault(gap[0], Counts(0, 0))
        self._plus(found)

    def known(self) -> list[tuple[datetime, Counts]]:
        """The minutes that are counted so far, the oldest first."""
        unknown = {since for since, _ in self._gaps}
        return sorted(m for m in self._counts.items() if m[0] not in unknown)

    def _plus(self, found: Mapping[datetime, Counts]) -> None:
        for minute, counts in found.items():
            before = self._counts.get(minute, Counts(0, 0))
            self._counts[minute] = before.plus(counts)


def _minute_of(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)

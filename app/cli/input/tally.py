"""What became of the rows of an import, counted."""

from collections import Counter
from collections.abc import Iterator, Sequence

from app.store.write.insert import Outcome


class Tally:
    """Counts outcomes.

    Attributes:
        stored: events that this run has stored.
        duplicates: events that were stored before, or earlier in the file.
        differing: those of the duplicates whose content is not what is stored.
        rejected: events that are not stored, by the code of their first error.
        dropped: of the differing and the rejected, those that are kept nowhere.
        unreadable: parts of the file that are no event.
    """

    def __init__(self) -> None:
        self.stored = 0
        self.duplicates = 0
        self.differing = 0
        self.rejected: Counter[str] = Counter()
        self.dropped = 0
        self.unreadable = 0

    @property
    def rows(self) -> int:
        """All that was counted."""
        judged = self.stored + self.duplicates + self.rejected.total()
        return judged + self.unreadable

    @property
    def is_whole(self) -> bool:
        """Whether every row is in `events` or in `rejected_events` now."""
        return not (self.unreadable or self.dropped)

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Count what was committed."""
        for outcome in outcomes:
            self.stored += outcome.status == "stored"
            self.duplicates += outcome.status == "duplicate"
            self.differing += outcome.differs
            self.dropped += not outcome.kept
            if outcome.status == "rejected":
                self.rejected[outcome.errors[0].code] += 1

    def lines(self) -> Iterator[str]:
        """The summary, a line each."""
        yield f"{self.stored:11,} stored"
        differing = f", {self.differing:,} of other content" if self.differing else ""
        yield f"{self.duplicates:11,} stored already{differing}"
        reasons = ", ".join(
            f"{code} {count:,}" for code, count in self.rejected.most_common()
        )
        yield f"{self.rejected.total():11,} rejected" + (reasons and f": {reasons}")
        if self.dropped:
            yield f"{self.dropped:11,} of these not kept: the quarantine is full"
        if self.unreadable:
            yield f"{self.unreadable:11,} not read"

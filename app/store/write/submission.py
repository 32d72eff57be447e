"""The entries of one body on their way through the writer."""

import logging
from dataclasses import dataclass
from typing import Protocol

from app.pipeline.rejection import Rejection
from app.store.write.insert import Entry, Outcome

log = logging.getLogger(__name__)


class Waiter(Protocol):
    """Whoever submitted entries, and is told what became of them."""

    @property
    def is_done(self) -> bool:
        """Whether nobody waits for the outcomes any more."""

    def settled(self, outcomes: list[Outcome] | None) -> None:
        """Take an outcome for each entry; called exactly once.

        Args:
            outcomes: None where some entries may be in and some not, or where nothing
                was begun because nobody waited any more.
        """


@dataclass(slots=True, eq=False)
class Submission:
    """The entries of one body, and who waits for their outcomes.

    Attributes:
        entries: in the order sent.
        waiter: is told once all are on a disk, or that they could not be confirmed.
        at: when they were handed over, on the loop's clock.
    """

    entries: list[Entry]
    waiter: Waiter
    at: float

    def unsettled(self, outcomes: list[Outcome | None]) -> list[Entry]:
        """The entries that have no outcome yet."""
        pairs = zip(self.entries, outcomes, strict=True)
        return [entry for entry, outcome in pairs if outcome is None]

    def resolve(
        self, outcomes: list[Outcome | None], *, buffered: bool = False
    ) -> None:
        """Tell the waiter.

        Args:
            outcomes: one for each entry; None for what Postgres did not confirm.
            buffered: whether that is in the journal.
        """
        if buffered:
            pairs = zip(self.entries, outcomes, strict=True)
            outcomes = [outcome or _buffered(entry) for entry, outcome in pairs]
        confirmed = [outcome for outcome in outcomes if outcome is not None]
        self._tell(confirmed if len(confirmed) == len(outcomes) else None)

    def drop(self) -> None:
        """Tell the waiter that nothing was begun."""
        self._tell(None)

    def _tell(self, outcomes: list[Outcome] | None) -> None:
        try:
            self.waiter.settled(outcomes)
        except Exception:
            # A defect of the waiter: without this the writer would end.
            log.exception("outcomes could not be delivered")


def _buffered(entry: Entry) -> Outcome:
    if isinstance(entry, Rejection):
        return Outcome("rejected", errors=entry.errors, buffered=True)
    return Outcome("buffered")

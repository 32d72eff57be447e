"""The entries of one body on their way through the writer."""

import logging
from dataclasses import dataclass
from typing import Protocol

from app.pipeline.outcome import Entry, EventStatus, Outcome
from app.pipeline.rejection import Rejection

log = logging.getLogger(__name__)


class Waiter(Protocol):
    """Receiver of the outcomes of one submission."""

    @property
    def is_done(self) -> bool:
        """Whether the outcomes are no longer needed."""

    def on_outcomes(self, outcomes: list[Outcome] | None) -> None:
        """Take an outcome for each entry; called exactly once.

        Args:
            outcomes: None if some entries may be stored and some not, or if the
                submission was dropped because its waiter was done.
        """


@dataclass(slots=True, eq=False)
class Submission:
    """The entries of one body, and the receiver of their outcomes.

    Attributes:
        entries: in the order sent.
        waiter: notified once all entries are on a disk, or not confirmed in time.
        at: time of submission, in monotonic seconds.
    """

    entries: list[Entry]
    waiter: Waiter
    at: float

    def unconfirmed(self, outcomes: list[Outcome | None]) -> list[Entry]:
        """The entries that have no outcome yet."""
        pairs = zip(self.entries, outcomes, strict=True)
        return [entry for entry, outcome in pairs if outcome is None]

    def resolve(
        self, outcomes: list[Outcome | None], *, buffered: bool = False
    ) -> None:
        """Give the outcomes to the waiter.

        Args:
            outcomes: one for each entry; None if Postgres did not confirm it.
            buffered: whether the entries without an outcome are in the journal.
        """
        if buffered:
            pairs = zip(self.entries, outcomes, strict=True)
            outcomes = [outcome or _buffered(entry) for entry, outcome in pairs]
        confirmed = [outcome for outcome in outcomes if outcome is not None]
        self.deliver(confirmed if len(confirmed) == len(outcomes) else None)

    def deliver(self, outcomes: list[Outcome] | None) -> None:
        """Call `on_outcomes` of the waiter; an error of it is logged."""
        try:
            self.waiter.on_outcomes(outcomes)
        except Exception:
            # A defect of the waiter. Without this the writer would end.
            log.exception("outcomes could not be delivered")


def _buffered(entry: Entry) -> Outcome:
    if isinstance(entry, Rejection):
        return Outcome(EventStatus.REJECTED, errors=entry.errors, buffered=True)
    return Outcome(EventStatus.BUFFERED)

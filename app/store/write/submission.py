"""The entries of one body on their way through the writer."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from app.errors import UnavailableError
from app.pipeline.rejection import Rejection
from app.store.write.insert import Entry, Outcome


@dataclass(slots=True, eq=False)
class Submission:
    """The entries of one body, and the future of whoever waits for them.

    Attributes:
        entries: in the order sent.
        release: called once the writer is done with the entries.
        done: gets an outcome for each entry once all are on a disk, or
            `UnavailableError`: then some may be in and some not.
        at: when they were handed over, on the loop's clock.
    """

    entries: list[Entry]
    release: Callable[[], None]
    done: asyncio.Future[list[Outcome]]
    at: float

    def unsettled(self, outcomes: list[Outcome | None]) -> list[Entry]:
        """The entries that have no outcome yet."""
        pairs = zip(self.entries, outcomes, strict=True)
        return [entry for entry, outcome in pairs if outcome is None]

    def resolve(
        self, outcomes: list[Outcome | None], *, buffered: bool = False
    ) -> None:
        """Tell whoever waits, if anybody still does, and give back what is held.

        Args:
            outcomes: one for each entry; None for what Postgres did not confirm.
            buffered: whether that is in the journal.
        """
        self.release()
        if self.done.done():  # whoever waited has left
            return
        if buffered:
            pairs = zip(self.entries, outcomes, strict=True)
            outcomes = [outcome or _buffered(entry) for entry, outcome in pairs]
        confirmed = [outcome for outcome in outcomes if outcome is not None]
        if len(confirmed) == len(outcomes):
            self.done.set_result(confirmed)
        else:
            self.done.set_exception(
                UnavailableError("The database did not confirm in time.")
            )


def _buffered(entry: Entry) -> Outcome:
    if isinstance(entry, Rejection):
        return Outcome("rejected", errors=entry.errors, buffered=True)
    return Outcome("buffered")

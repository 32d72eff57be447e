"""Count what became of the content of files."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields

from app.cli.input.items import BlankItem, UnreadableItem
from app.cli.input.process import IgnoredItem, ItemResult
from app.pipeline.outcome import Entry, Outcome
from app.pipeline.rejection import Rejection


@dataclass
class ContentTally:
    """Counts the items of files, before anything is stored.

    Attributes:
        events: valid and rejected ones.
        rejected: events with an error.
        errors: by code; an event may have several.
        warnings: by code, of valid and rejected events.
        unreadable: parts of a file that cannot be read.
        ignored: calls of SDKs other than track.
        blank: rows of CSV without content.
    """

    events: int = 0
    rejected: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0
    ignored: int = 0
    blank: int = 0

    @property
    def rows(self) -> int:
        """Everything that was counted."""
        return self.events + self.unreadable + self.ignored + self.blank

    @property
    def valid(self) -> int:
        """Events without an error."""
        return self.events - self.rejected

    def add(self, result: ItemResult) -> None:
        """Count one result of processing."""
        match result:
            case UnreadableItem():
                self.unreadable += 1
            case IgnoredItem():
                self.ignored += 1
            case BlankItem():
                self.blank += 1
            case _:
                self._add_event(result)

    def merge(self, other: "ContentTally") -> None:
        """Add the counts of another tally."""
        for name in (each.name for each in fields(self)):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def _add_event(self, entry: Entry) -> None:
        self.events += 1
        self.warnings.update(warning.code for warning in entry.warnings)
        if isinstance(entry, Rejection):
            self.rejected += 1
            self.errors.update(error.code for error in entry.errors)

    def code_lines(self) -> Iterator[str]:
        """Errors and warnings by code, the most frequent first."""
        for severity, codes in (("error", self.errors), ("warning", self.warnings)):
            for code, count in codes.most_common():
                yield f"{count:11,} {severity} {code}"

    def other_lines(self) -> Iterator[str]:
        """Counts of everything except events."""
        if self.unreadable:
            yield f"{self.unreadable:11,} not read"
        if self.ignored:
            yield f"{self.ignored:11,} ignored: SDK calls that are no track"
        if self.blank:
            yield f"{self.blank:11,} blank rows"


@dataclass
class OutcomeTally:
    """Counts what became of the events of an import.

    Attributes:
        stored: events stored by this run.
        duplicates: events stored before, or earlier in the files.
        conflicts: duplicates whose content is not the stored one.
        rejected: events that are not stored.
        dropped: conflicts and rejected events that are kept nowhere.
    """

    stored: int = 0
    duplicates: int = 0
    conflicts: int = 0
    rejected: int = 0
    dropped: int = 0

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Count outcomes that are committed."""
        for outcome in outcomes:
            self.stored += outcome.status == "stored"
            self.duplicates += outcome.status == "duplicate"
            self.conflicts += outcome.differs
            self.rejected += outcome.status == "rejected"
            self.dropped += not outcome.kept

    def lines(self) -> Iterator[str]:
        """The counts, a line each."""
        yield f"{self.stored:11,} stored"
        other = f", {self.conflicts:,} with other content" if self.conflicts else ""
        yield f"{self.duplicates:11,} stored already{other}"
        yield f"{self.rejected:11,} rejected"
        if self.dropped:
            yield f"{self.dropped:11,} of these not kept: the quarantine is full"

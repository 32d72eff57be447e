"""What the doors count beside the requests themselves."""

from collections.abc import Iterable

from app.api.doors import DOORS
from app.api.unpack import Ignored
from app.errors import RequestError
from app.metrics.catalog import QUARANTINE_DROPS, REJECTED, WARNINGS
from app.metrics.layout import Layout
from app.metrics.meters import Meters
from app.store.insert import CONTENT_DIFFERS, Entry, Outcome


def service_layout() -> Layout:
    """The cells of the service: a label for each door and for each refusal."""
    return Layout(
        {
            "door": tuple(door.path for door in DOORS),
            "code": tuple(sorted(kind.code for kind in RequestError.__subclasses__())),
        }
    )


def count_remarks(
    meters: Meters, entries: Iterable[Entry | Ignored], outcomes: Iterable[Outcome]
) -> None:
    """Count why events were rejected, what was warned of, and what was not kept.

    Args:
        meters: count.
        entries: of one answer, in order.
        outcomes: one for each entry.
    """
    for entry, outcome in zip(entries, outcomes, strict=True):
        if isinstance(entry, Ignored):
            continue
        for remark in entry.warnings:
            meters.add(WARNINGS, remark.code)
        if outcome.differs:
            meters.add(WARNINGS, CONTENT_DIFFERS.code)
        if outcome.status == "rejected":
            meters.add(REJECTED, outcome.errors[0].code)
        if not outcome.kept:
            meters.add(QUARANTINE_DROPS)

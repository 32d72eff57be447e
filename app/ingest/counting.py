"""Metrics of the routes that take events, besides the requests themselves."""

from collections.abc import Iterable

from app.ingest.routes import TRACK_ROUTES
from app.metrics.catalog import (
    QUARANTINE_DROPS,
    REJECTED,
    WARNINGS,
)
from app.metrics.counters import Metrics
from app.pipeline import codes
from app.pipeline.outcome import Entry, Outcome
from app.pipeline.unpack import Ignored
from app.request_errors import REQUEST_ERRORS
from app.store.write.insert import CONTENT_DIFFERS, ERASED, STORED


def metric_labels() -> dict[str, tuple[str, ...]]:
    """Closed label sets of the service: its routes and its codes."""
    return {
        "route": tuple(route.path for route in TRACK_ROUTES),
        "code": tuple(sorted(kind.code for kind in REQUEST_ERRORS)),
        "reason": tuple(codes.ERROR_TEXTS),
        "warning": tuple(codes.WARNING_TEXTS),
    }


def count_issues(
    metrics: Metrics, entries: Iterable[Entry | Ignored], outcomes: Iterable[Outcome]
) -> None:
    """Count the reasons of rejected events, the warnings and the dropped events.

    Args:
        metrics: of this worker.
        entries: all entries of one response, in order.
        outcomes: one for each entry.
    """
    for entry, outcome in zip(entries, outcomes, strict=True):
        if isinstance(entry, Ignored):
            continue
        for warning in entry.warnings:
            metrics.add(WARNINGS, warning.code)
        if outcome is STORED:
            continue
        if outcome.differs:
            metrics.add(WARNINGS, CONTENT_DIFFERS.code)
        if outcome.status == "rejected":
            metrics.add(REJECTED, outcome.errors[0].code)
        # An erased event is refused for good; the quarantine may well have room.
        if not outcome.kept and ERASED not in outcome.errors:
            metrics.add(QUARANTINE_DROPS)

"""Metrics of the routes that take events, besides the requests themselves."""

from collections.abc import Iterable, Sequence

from app.ingest.load.budget import ByteBudget
from app.ingest.load.scheduler import Scheduler
from app.ingest.routes import TRACK_ROUTES
from app.metrics.catalog import (
    BYTES_IN_FLIGHT,
    BYTES_IN_FLIGHT_LIMIT,
    QUARANTINE_DROPS,
    REJECTED,
    REQUESTS_IN_FLIGHT,
    REQUESTS_IN_FLIGHT_LIMIT,
    REQUESTS_WAITING,
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


def register_admission_gauges(
    metrics: Metrics, scheduler: Scheduler, budgets: Sequence[ByteBudget]
) -> None:
    """Publish how much is in flight, and how much may be."""
    metrics.register_gauges(
        {
            REQUESTS_IN_FLIGHT: lambda: scheduler.active,
            REQUESTS_IN_FLIGHT_LIMIT: lambda: scheduler.slots,
            REQUESTS_WAITING: lambda: scheduler.waiting,
            BYTES_IN_FLIGHT: lambda: sum(each.used for each in budgets),
            BYTES_IN_FLIGHT_LIMIT: lambda: sum(each.limit for each in budgets),
        }
    )

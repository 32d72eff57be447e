"""Metrics of the routes that take events, beside the requests themselves."""

from collections.abc import Iterable, Sequence

from app.errors import REQUEST_ERRORS
from app.ingest.admission import ByteBudget
from app.ingest.routes import TRACK_ROUTES
from app.ingest.scheduler import Scheduler
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
from app.metrics.layout import Layout
from app.metrics.meters import Meters
from app.pipeline.unpack import Ignored
from app.store.write.insert import CONTENT_DIFFERS, ERASED, Entry, Outcome


def service_layout() -> Layout:
    """The cells of the service: a label for each door and for each refusal."""
    return Layout(
        {
            "route": tuple(route.path for route in TRACK_ROUTES),
            "code": tuple(sorted(kind.code for kind in REQUEST_ERRORS)),
        }
    )


def count_issues(
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
        for issue in entry.warnings:
            meters.add(WARNINGS, issue.code)
        if outcome.differs:
            meters.add(WARNINGS, CONTENT_DIFFERS.code)
        if outcome.status == "rejected":
            meters.add(REJECTED, outcome.errors[0].code)
        # An erased event is refused for good; the quarantine may well have room.
        if not outcome.kept and ERASED not in outcome.errors:
            meters.add(QUARANTINE_DROPS)


def watch_budgets(
    meters: Meters, scheduler: Scheduler, budgets: Sequence[ByteBudget]
) -> None:
    """Register the gauges of what is in flight, and of how much may be."""
    meters.watch(
        {
            REQUESTS_IN_FLIGHT: lambda: scheduler.active,
            REQUESTS_IN_FLIGHT_LIMIT: lambda: scheduler.slots,
            REQUESTS_WAITING: lambda: scheduler.waiting,
            BYTES_IN_FLIGHT: lambda: sum(each.used for each in budgets),
            BYTES_IN_FLIGHT_LIMIT: lambda: sum(each.limit for each in budgets),
        }
    )

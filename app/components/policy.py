"""The settings as the policies of the pipeline and of quarantine."""

from datetime import timedelta

from app.components.catalog import load_catalog
from app.events.catalog import Catalog
from app.pipeline.record import Policy
from app.pipeline.timestamp import TimestampPolicy
from app.settings import Settings
from app.store.quarantine.caps import Quarantine


def make_quarantine(settings: Settings) -> Quarantine:
    """A quarantine with the caps of the settings; each committer needs its own."""
    return Quarantine(
        max_events=settings.quarantine_max_events,
        max_bytes=settings.quarantine_max_bytes,
    )


def event_policy(settings: Settings, catalog: Catalog | None = None) -> Policy:
    """Make the rules that events are processed by.

    Args:
        settings: limits and how timestamps are read.
        catalog: the events that are accepted; by default read as the settings say.
    """
    days = settings.retention_days if settings.retention_basis == "timestamp" else None
    return Policy(
        TimestampPolicy(
            two_digit_year=settings.two_digit_year,
            earliest=settings.earliest_timestamp,
            max_future=timedelta(seconds=settings.max_future_seconds),
            # With retention by event time, an expired event is rejected on arrival.
            max_age=None if days is None else timedelta(days=days),
        ),
        max_event_bytes=settings.max_event_bytes,
        max_depth=settings.max_event_depth,
        catalog=load_catalog(settings) if catalog is None else catalog,
    )

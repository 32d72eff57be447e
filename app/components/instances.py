"""This instance among the others on the database: its report, and its comparison."""

import logging
import socket
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

from app.metrics.catalog import SETTINGS_DIFFERING
from app.metrics.counters import Metrics
from app.settings import Settings
from app.store.instances import Difference, Instance, differences

log = logging.getLogger(__name__)

# With another value, an instance treats the same event otherwise than its neighbour.
SHARED = (
    "two_digit_year",
    "earliest_timestamp",
    "max_future_seconds",
    "unknown_events",
    "max_body_bytes",
    "max_body_events",
    "max_body_values",
    "max_event_bytes",
    "max_event_depth",
    "quarantine_max_events",
    "quarantine_max_bytes",
    "quarantine_retention_days",
    "retention_days",
    "retention_basis",
    "audit_retention_days",
)


def shared_settings(settings: Settings, *, declarations: str) -> dict[str, Any]:
    """The settings that all instances should share, by the name of their variable."""
    values = settings.model_dump(mode="json", include=set(SHARED))
    shared = {f"ROLLCALL_{name.upper()}": values[name] for name in SHARED}
    return shared | {"event declarations": declarations}


class InstanceReport:
    """Reports this instance, and compares its settings with those of the others.

    Attributes:
        differences: settings in which running instances differ, as of the last report.

    Args:
        settings: of this instance; its port tells it from others on the same host.
        declarations: digest of the declared events.
        report: records an instance in the database and returns all that run.
        metrics: hold the number of differences.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        declarations: str,
        report: Callable[[Instance], Awaitable[list[Instance]]],
        metrics: Metrics,
    ) -> None:
        self.differences: list[Difference] = []
        self._instance = Instance(
            f"{socket.gethostname()}:{settings.port}",
            version("rollcall"),
            shared_settings(settings, declarations=declarations),
        )
        self._report = report
        self._metrics = metrics

    async def send(self) -> int:
        """Report, and log differences that are new; returns how many there are.

        Raises:
            UnavailableError: the database failed.
        """
        found = differences(await self._report(self._instance))
        for each in found:
            if each not in self.differences:
                log.warning("instances differ in a setting: %s", each)
        if self.differences and not found:
            log.info("instances agree in their settings")
        self.differences = found
        self._metrics.set(SETTINGS_DIFFERING, to=len(found))
        return len(found)

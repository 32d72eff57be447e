"""Every metric: its name, its meaning and the closed sets of its labels."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

# Label value for everything that is not in the label's set.
OTHER = "other"
# Between the parts of a series' key: the metric's name, then its label values.
SEPARATOR = "\t"
# Status of a request without a response, because the client disconnected.
UNANSWERED = "0"
_STATUSES = "0 200 303 304 400 401 403 404 405 408 413 415 422 429 431 500 503"
_TASKS = "partitions retention sessions indexes events audit instances"
_KINDS = "connection timeout lock conflict resources read_only shutdown"
# Labels with so many values that only series that were counted are shown.
_SPARSE = {"route", "source", "digest", "host", "version"}
# The label `source` takes at most this many sources; the others are `other`.
MAX_SOURCES = 1000
# Labels without a closed set: their values come from the machines, not from clients.
OPEN_LABELS = {"host", "version", "python"}
# `app.ingest.counting` adds the sets of `route`, `code`, `reason` and `warning`.
LABELS: dict[str, tuple[str, ...]] = {
    "status": tuple(_STATUSES.split()),
    "result": ("stored", "duplicate", "rejected", "buffered", "ignored", "valid"),
    "kind": tuple(_KINDS.split()),
    "pool": ("writing", "reading"),
    "task": tuple(_TASKS.split()),
}


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """A family of time series.

    Attributes:
        kind: type in Prometheus.
        name: follows Prometheus' conventions.
        help: one sentence for operators.
        labels: label names; `LABELS` has their values.
        buckets: upper bounds of a histogram, ascending, without infinity.
        across: how the gauges of several workers are combined.
    """

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    across: Literal["sum", "max"] = "sum"

    @property
    def sparse(self) -> bool:
        """Whether series that are still 0 are omitted."""
        return not _SPARSE.isdisjoint(self.labels)

    @property
    def parts(self) -> tuple[str, ...]:
        """Series of a histogram: one for each bucket, and the sum."""
        bounds = (str(float(bound)) for bound in self.buckets)
        return (*bounds, "+Inf", "sum") if self.buckets else ()

    def key(self, *values: str) -> str:
        """Key of a series in snapshots, by its label values or its part."""
        return SEPARATOR.join((self.name, *values))


METRICS: list[Metric] = []


def _add(name: str, text: str, *labels: str, kind: Any, **more: Any) -> Metric:
    METRICS.append(Metric(kind, f"rollcall_{name}", text, labels, **more))
    return METRICS[-1]


def _counter(name: str, text: str, *labels: str) -> Metric:
    return _add(f"{name}_total", text, *labels, kind="counter")


_gauge = partial(_add, kind="gauge")
_maximum = partial(_gauge, across="max")
_histogram = partial(_add, kind="histogram")

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10)
_EVENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
_REQUESTS = (
    "Requests by HTTP status (0: the client disconnected before the response) and "
    "route (`other`: a path that takes no events)."
)

REQUESTS = _counter("requests", _REQUESTS, "route", "status")
REQUEST_SECONDS = _histogram(
    "request_duration_seconds",
    "Duration of requests that send events, from the headers to the response.",
    buckets=_SECONDS,
)
REFUSALS = _counter("refusals", "Requests refused as a whole, by error code.", "code")
EVENTS = _counter(
    "events", "Events in responses, by result (`valid`: dry run).", "result"
)
REJECTED = _counter(
    "rejected_events", "Rejected events, by the code of their first error.", "reason"
)
WARNINGS = _counter(
    "warnings", "Warnings in responses; one event can have several.", "warning"
)
QUARANTINE_DROPS = _counter(
    "quarantine_drops", "Rejected events not kept because their source is over its cap."
)
COMMIT_EVENTS = _histogram(
    "commit_events",
    "Events in a committed transaction, with rejected ones.",
    buckets=_EVENTS,
)
COMMIT_SECONDS = _histogram(
    "commit_duration_seconds",
    "Duration of a transaction with its retries.",
    buckets=_SECONDS,
)
COMMIT_FAILURES = _counter(
    "commit_failures", "Transactions not confirmed before their deadline.", "kind"
)
JOURNAL_EVENTS = _gauge("journal_events", "Events in the journals of this instance.")
JOURNAL_BYTES = _gauge("journal_bytes", "Size of the journals.")
JOURNAL_BYTES_LIMIT = _gauge("journal_bytes_limit", "Maximum size of the journals.")
JOURNAL_OLDEST_SECONDS = _maximum(
    "journal_oldest_age_seconds", "Age of the oldest event in a journal."
)
CIRCUIT_OPEN = _gauge("circuit_open", "Workers whose circuit breaker is open.")
CONNECTIONS = _gauge("connections_open", "Open client connections.")
CONNECTIONS_LIMIT = _gauge(
    "connections_limit",
    "Most client connections, all workers together, at most 65,536 each; above it "
    "idle ones are closed.",
)
BODIES_WAITING = _gauge("bodies_waiting", "Request bodies queued for the writer.")
REQUESTS_IN_FLIGHT = _gauge(
    "requests_in_flight", "Requests under way, each 8 KiB of a body as one more."
)
REQUESTS_IN_FLIGHT_LIMIT = _gauge(
    "requests_in_flight_limit", "Maximum requests in flight, all workers together."
)
REQUESTS_WAITING = _gauge("requests_waiting", "Requests that wait for their turn.")
BYTES_IN_FLIGHT = _gauge(
    "bytes_in_flight", "Bytes of bodies in memory, from the first byte to the commit."
)
BYTES_IN_FLIGHT_LIMIT = _gauge(
    "bytes_in_flight_limit", "Maximum bytes of bodies in memory, all workers together."
)
POOL_IN_USE = _gauge("pool_connections_in_use", "Postgres connections in use.", "pool")
POOL_LIMIT = _gauge(
    "pool_connections_limit", "Maximum Postgres connections of all workers.", "pool"
)
DATABASE_UP = _maximum(
    "database_up", "1 if Postgres accepted writes at the scrape, else 0."
)
MAINTENANCE_FAILURES = _counter(
    "maintenance_failures", "Failed hourly maintenance tasks.", "task"
)
AUDIT_FAILURES = _counter(
    "audit_failures", "Failed attempts to write reads and key use to the audit log."
)
MAINTENANCE_SUCCEEDED_AT = _maximum(
    "maintenance_success_timestamp_seconds",
    "Last success of an hourly maintenance task; 0: none since the start.",
    "task",
)
WORKERS = _gauge("workers", "Worker processes that serve requests.")
WORKER_CRASHES = _counter("worker_crashes", "Workers that failed or were killed.")
WORKERS_BY_DECLARATIONS = _gauge(
    "workers_by_declarations",
    "Workers by the digest of their event declarations; all should have the same.",
    "digest",
)
WORKERS_BY_HOST = _gauge(
    "workers_by_database_host",
    "Workers by the database host of their newest connection.",
    "pool",
    "host",
)
SETTINGS_DIFFERING = _maximum(
    "settings_differing",
    "Settings that running instances should share and that differ between them.",
)
SOURCE_EVENTS = _counter(
    "source_events", "Events in responses, by source.", "source", "result"
)
SOURCE_LAST_EVENT = _maximum(
    "source_last_event_timestamp_seconds",
    "Last event of a source that was not rejected; absent before the first one.",
    "source",
)
QUARANTINE_FILL = _maximum(
    "quarantine_fill_ratio",
    "Part of a source's quarantine cap in use, as of its last rejected event.",
    "source",
)
WEEKS_AHEAD = _maximum("partition_weeks_ahead", "Future weeks that have a partition.")
CPU_SECONDS = _counter("cpu_seconds", "CPU time of the workers, user and system.")
MEMORY_BYTES = _gauge("resident_memory_bytes", "Resident memory of the workers.")
BUILD_INFO = _maximum(
    "build_info",
    "Always 1; the labels are the versions of Rollcall and Python of the workers.",
    "version",
    "python",
)

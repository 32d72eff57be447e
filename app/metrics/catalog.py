"""Every metric: its name, its meaning and the closed sets of its labels."""

from dataclasses import dataclass
from typing import Any, Literal

# Label value for everything that is not in the label's set.
OTHER = "other"
# Status of a request without a response, because the client disconnected.
UNANSWERED = "0"
_STATUSES = "0 200 303 304 400 401 403 404 405 408 413 415 422 429 431 500 503"
_TASKS = "partitions retention sessions indexes events audit instances"
_KINDS = "connection timeout lock conflict resources read_only shutdown"
# The label `source` takes at most this many sources; the others are `other`.
MAX_SOURCES = 1000
# `app.ingest.counting` adds the sets of `route`, `code`, `reason` and `warning`.
LABELS: dict[str, tuple[str, ...]] = {
    "status": tuple(_STATUSES.split()),
    "result": ("stored", "duplicate", "rejected", "buffered", "ignored", "valid"),
    "kind": tuple(_KINDS.split()),
    "pool": ("writing", "reading"),
    "task": tuple(_TASKS.split()),
}


@dataclass(frozen=True, slots=True)
class Metric:
    """A family of time series.

    Attributes:
        kind: type in Prometheus.
        name: follows Prometheus' conventions.
        help: one sentence for operators.
        labels: label names; `LABELS` has their values.
        buckets: upper bounds of a histogram, ascending, without infinity.
        parts: series of a histogram: one for each bucket, and the sum.
        across: how the gauges of several workers are combined.
        sparse: whether series that are still 0 are omitted.
    """

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    parts: tuple[str, ...] = ()
    across: Literal["sum", "max"] = "sum"
    sparse: bool = False


METRICS: list[Metric] = []


def _counter(name: str, text: str, *labels: str, sparse: bool = False) -> Metric:
    return _add(
        Metric("counter", f"rollcall_{name}_total", text, labels, sparse=sparse)
    )


def _gauge(name: str, text: str, *labels: str, **more: Any) -> Metric:
    return _add(Metric("gauge", f"rollcall_{name}", text, labels, **more))


def _histogram(name: str, text: str, *buckets: float) -> Metric:
    parts = (*(str(float(bound)) for bound in buckets), "+Inf", "sum")
    return _add(Metric("histogram", f"rollcall_{name}", text, (), buckets, parts))


def _add(metric: Metric) -> Metric:
    METRICS.append(metric)
    return metric


_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10)
_EVENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
_REQUESTS = (
    "Requests by HTTP status (0: the client disconnected before the response) and "
    "route (`other`: a path that takes no events)."
)

REQUESTS = _counter("requests", _REQUESTS, "route", "status", sparse=True)
REQUEST_SECONDS = _histogram(
    "request_duration_seconds",
    "Duration of requests that send events, from the headers to the response.",
    *_SECONDS,
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
    "commit_events", "Events in a committed transaction, with rejected ones.", *_EVENTS
)
COMMIT_SECONDS = _histogram(
    "commit_duration_seconds", "Duration of a transaction with its retries.", *_SECONDS
)
COMMIT_FAILURES = _counter(
    "commit_failures", "Transactions not confirmed before their deadline.", "kind"
)
JOURNAL_EVENTS = _gauge("journal_events", "Events in the journals of this instance.")
JOURNAL_BYTES = _gauge("journal_bytes", "Size of the journals.")
JOURNAL_BYTES_LIMIT = _gauge("journal_bytes_limit", "Maximum size of the journals.")
JOURNAL_OLDEST_SECONDS = _gauge(
    "journal_oldest_age_seconds", "Age of the oldest event in a journal.", across="max"
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
DATABASE_UP = _gauge(
    "database_up", "1 if Postgres accepted writes at the scrape, else 0.", across="max"
)
MAINTENANCE_FAILURES = _counter(
    "maintenance_failures", "Failed hourly maintenance tasks.", "task"
)
AUDIT_FAILURES = _counter(
    "audit_failures", "Failed attempts to write reads and key use to the audit log."
)
MAINTENANCE_SUCCEEDED_AT = _gauge(
    "maintenance_success_timestamp_seconds",
    "Last success of an hourly maintenance task; 0: none since the start.",
    "task",
    across="max",
)
WORKERS = _gauge("workers", "Worker processes that serve requests.")
WORKER_CRASHES = _counter("worker_crashes", "Workers that failed or were killed.")
WORKERS_BY_DECLARATIONS = _gauge(
    "workers_by_declarations",
    "Workers by the digest of their event declarations; all should have the same.",
    "digest",
    sparse=True,
)
WORKERS_BY_HOST = _gauge(
    "workers_by_database_host",
    "Workers by the database host of their newest connection.",
    "pool",
    "host",
    sparse=True,
)
SETTINGS_DIFFERING = _gauge(
    "settings_differing",
    "Settings that running instances should share and that differ between them.",
    across="max",
)
SOURCE_EVENTS = _counter(
    "source_events", "Events in responses, by source.", "source", "result", sparse=True
)
SOURCE_LAST_EVENT = _gauge(
    "source_last_event_timestamp_seconds",
    "Last event of a source that was not rejected; absent before the first one.",
    "source",
    across="max",
    sparse=True,
)
QUARANTINE_FILL = _gauge(
    "quarantine_fill_ratio",
    "Part of a source's quarantine cap in use, as of its last rejected event.",
    "source",
    across="max",
    sparse=True,
)
WEEKS_AHEAD = _gauge(
    "partition_weeks_ahead", "Future weeks that have a partition.", across="max"
)
CPU_SECONDS = _counter("cpu_seconds", "CPU time of the workers, user and system.")
MEMORY_BYTES = _gauge("resident_memory_bytes", "Resident memory of the workers.")

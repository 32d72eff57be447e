"""Every metric: its name and its meaning."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """A family of series.

    Attributes:
        name: by Prometheus' conventions: unit in plural, `_total` for counters.
        help: one sentence for operators.
        kind: how it may change.
        labels: their names; `app.metrics.labels` has their values.
        buckets: of a histogram: upper bounds, ascending, without the infinite one.
        across: of a gauge: what the figures of several workers become.
        sparse: whether series that were never counted are left out.
    """

    name: str
    help: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    across: Literal["sum", "max"] = "sum"
    sparse: bool = False


_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10)
_EVENTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)

REQUESTS = Metric(
    "rollcall_requests_total",
    "Requests answered, by door (other for whatever takes no events) and HTTP status "
    "(0 where the client left before the answer).",
    "counter",
    labels=("route", "status"),
    sparse=True,
)
REQUEST_SECONDS = Metric(
    "rollcall_request_duration_seconds",
    "From the head of a request at a door for events to its answer.",
    "histogram",
    buckets=_SECONDS,
)
REFUSALS = Metric(
    "rollcall_refusals_total",
    "Requests refused as a whole, by the code in the answer.",
    "counter",
    labels=("code",),
)
EVENTS = Metric(
    "rollcall_events_total",
    "Events answered, by result (valid is that of a dry run).",
    "counter",
    labels=("result",),
)
REJECTED = Metric(
    "rollcall_rejected_events_total",
    "Events rejected, by the code of their first error.",
    "counter",
    labels=("reason",),
)
WARNINGS = Metric(
    "rollcall_warnings_total",
    "Warnings in answers, by code; an event may carry several.",
    "counter",
    labels=("warning",),
)
QUARANTINE_DROPS = Metric(
    "rollcall_quarantine_drops_total",
    "Rejected events that were not kept, because their source is over its cap.",
    "counter",
)
COMMIT_EVENTS = Metric(
    "rollcall_commit_events",
    "Events, good and rejected ones, in one transaction that was committed.",
    "histogram",
    buckets=_EVENTS,
)
COMMIT_SECONDS = Metric(
    "rollcall_commit_duration_seconds",
    "One transaction, from taking what waits to the commit, retries included.",
    "histogram",
    buckets=_SECONDS,
)
COMMIT_FAILURES = Metric(
    "rollcall_commit_failures_total",
    "Transactions that Postgres did not confirm within the deadline, by kind.",
    "counter",
    labels=("kind",),
)
JOURNAL_EVENTS = Metric(
    "rollcall_journal_events",
    "Events in the journals of this machine, still to be stored.",
    "gauge",
)
JOURNAL_BYTES = Metric("rollcall_journal_bytes", "Size of the journals.", "gauge")
JOURNAL_BYTES_LIMIT = Metric(
    "rollcall_journal_bytes_limit",
    "Size up to which the journals take events in.",
    "gauge",
)
JOURNAL_OLDEST_SECONDS = Metric(
    "rollcall_journal_oldest_age_seconds",
    "Age of the oldest event in the journals; 0 where they are empty.",
    "gauge",
    across="max",
)
CIRCUIT_OPEN = Metric(
    "rollcall_circuit_open",
    "Workers that hold Postgres for away, and do not try it with each event.",
    "gauge",
)
CONNECTIONS = Metric(
    "rollcall_connections_open", "Connections of senders and readers.", "gauge"
)
BODIES_WAITING = Metric(
    "rollcall_bodies_waiting", "Bodies in line for the writer.", "gauge"
)
REQUESTS_IN_FLIGHT = Metric(
    "rollcall_requests_in_flight",
    "Units of work under way: a request counts 1 plus 1 per 8 KiB of its body.",
    "gauge",
)
REQUESTS_IN_FLIGHT_LIMIT = Metric(
    "rollcall_requests_in_flight_limit",
    "Most units of work under way, all workers together.",
    "gauge",
)
REQUESTS_WAITING = Metric(
    "rollcall_requests_waiting",
    "Requests that are complete and wait for their turn.",
    "gauge",
)
BYTES_IN_FLIGHT = Metric(
    "rollcall_bytes_in_flight",
    "Bytes of bodies held, from their first byte to their commit.",
    "gauge",
)
BYTES_IN_FLIGHT_LIMIT = Metric(
    "rollcall_bytes_in_flight_limit",
    "Bytes of bodies that may be held, all workers together.",
    "gauge",
)
POOL_IN_USE = Metric(
    "rollcall_pool_connections_in_use",
    "Connections to Postgres that are in use, by pool: that of the writer and of keys, "
    "or that of readers.",
    "gauge",
    labels=("pool",),
)
POOL_LIMIT = Metric(
    "rollcall_pool_connections_limit",
    "Connections to Postgres that may be open, by pool, all workers together.",
    "gauge",
    labels=("pool",),
)
DATABASE_UP = Metric(
    "rollcall_database_up",
    "Whether Postgres took writes when this was read: 1, or 0.",
    "gauge",
    across="max",
)
UPKEEP_FAILURES = Metric(
    "rollcall_upkeep_failures_total",
    "Hourly works on the database that failed, by task.",
    "counter",
    labels=("task",),
)
UPKEEP_SUCCEEDED_AT = Metric(
    "rollcall_upkeep_success_timestamp_seconds",
    "When the hourly work last succeeded, by task; 0 if it has not since the start.",
    "gauge",
    labels=("task",),
    across="max",
)
WORKERS = Metric("rollcall_workers", "Workers that answer.", "gauge")
WORKER_CRASHES = Metric(
    "rollcall_worker_crashes_total",
    "Workers that died other than in good order, counted when the next one starts.",
    "counter",
)
CPU_SECONDS = Metric(
    "rollcall_cpu_seconds_total",
    "Processor time of the workers, user and system.",
    "counter",
)
MEMORY_BYTES = Metric(
    "rollcall_resident_memory_bytes", "Resident memory of the workers.", "gauge"
)

METRICS = tuple(value for value in globals().copy().values() if type(value) is Metric)

"""Counters, and the samples that one process exposes."""

import time
import timeit
from itertools import pairwise

import pytest

from app.metrics import catalog
from app.metrics.catalog import METRICS
from app.metrics.counters import Metrics
from tests.support.metrics.samples import figures_of


@pytest.fixture
def metrics() -> Metrics:
    return Metrics({"route": ("/track",), "code": ("overloaded",)})


def test_request_is_counted_with_its_events_and_duration(metrics: Metrics) -> None:
    metrics.count_request("/track", 200, 0.001, {"stored": 2, "duplicate": 1})
    metrics.count_request("/track", 200, 0.0011, {"stored": 1})
    metrics.count_request("/track", 503, 99.0, {})

    figures = figures_of(metrics)
    assert figures("rollcall_requests_total", route="/track", status="200") == 2
    assert figures("rollcall_requests_total", route="/track", status="503") == 1
    assert figures("rollcall_events_total", result="stored") == 3
    assert figures("rollcall_events_total", result="duplicate") == 1
    name = "rollcall_request_duration_seconds"
    # A bound belongs to its bucket.
    assert figures(f"{name}_bucket", le="0.001") == 1
    assert figures(f"{name}_bucket", le="0.0025") == 2
    assert figures(f"{name}_bucket", le="10.0") == 2
    assert figures(f"{name}_bucket", le="+Inf") == figures(f"{name}_count") == 3
    assert figures(f"{name}_sum") == pytest.approx(99.0021)


def test_commit_is_counted_with_its_size_and_duration(metrics: Metrics) -> None:
    for events, seconds in ((5, 0.2), (6, 0.3)):
        metrics.observe(catalog.COMMIT_EVENTS, events)
        metrics.observe(catalog.COMMIT_SECONDS, seconds)

    figures = figures_of(metrics)
    assert figures("rollcall_commit_events_bucket", le="5.0") == 1
    assert figures("rollcall_commit_events_sum") == 11
    assert figures("rollcall_commit_duration_seconds_sum") == pytest.approx(0.5)


def test_unknown_label_values_are_counted_as_other(metrics: Metrics) -> None:
    before = figures_of(metrics).samples.keys()
    for number in range(100):
        metrics.count_request(f"/{number}", 600 + number, 0.1, {f"r{number}": 1})
        metrics.add(catalog.REFUSALS, f"code{number}")
        metrics.add(catalog.WARNINGS, f'"}}\n\t{number}')

    figures = figures_of(metrics)
    other = "rollcall_requests_total", (("route", "other"), ("status", "other"))
    assert figures.samples[other] == 100
    assert figures("rollcall_events_total", result="other") == 100
    assert figures("rollcall_refusals_total", code="other") == 100
    assert figures("rollcall_warnings_total", warning="other") == 100
    assert figures.samples.keys() == before | {other}


def test_events_are_counted_by_source(metrics: Metrics) -> None:
    for source, counts in (
        ("crm", {"stored": 2, "rejected": 1}),
        ("crm", {"stored": 1}),
        ("app\tone", {"rejected": 1}),
        (None, {"valid": 1}),
    ):
        metrics.count_request("/track", 200, 0.1, counts, source)
    metrics.set(catalog.QUARANTINE_FILL, "crm", to=0.5)

    figures = figures_of(metrics)
    counted = "rollcall_source_events_total"
    assert figures(counted, source="crm", result="stored") == 3
    assert figures(counted, source="crm", result="rejected") == 1
    assert figures(counted, source="app one", result="rejected") == 1
    last = "rollcall_source_last_event_timestamp_seconds"
    # A source whose events are all rejected has delivered none.
    assert figures.labels(last, "source") == {"crm"}
    assert figures(last, source="crm") == pytest.approx(time.time(), abs=60)
    assert figures("rollcall_quarantine_fill_ratio", source="crm") == 0.5


def test_number_of_sources_is_bounded(metrics: Metrics) -> None:
    for number in range(catalog.MAX_SOURCES + 5):
        metrics.count_request("/track", 200, 0.1, {"stored": 1}, f"source-{number}")

    figures = figures_of(metrics)
    sources = figures.labels("rollcall_source_events_total", "source")
    assert len(sources) == catalog.MAX_SOURCES + 1
    assert figures("rollcall_source_events_total", source="other", result="stored") == 5


def test_gauges_are_read_when_published(metrics: Metrics) -> None:
    waiting = 1
    metrics.register_gauges({catalog.BODIES_WAITING: lambda: waiting})
    metrics.register_gauges({catalog.POOL_LIMIT: lambda: 3}, "writing")
    first = figures_of(metrics)
    waiting = 2
    second = figures_of(metrics)

    assert first("rollcall_bodies_waiting") == 1
    assert second("rollcall_bodies_waiting") == 2
    assert second("rollcall_pool_connections_limit", pool="writing") == 3
    assert second("rollcall_resident_memory_bytes") > 1_000_000
    assert second("rollcall_cpu_seconds_total") > 0


def test_gauge_that_raises_reads_0_and_is_logged(
    metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> float:
        raise LookupError("a defect")

    metrics.register_gauges({catalog.BODIES_WAITING: fail})

    assert figures_of(metrics)("rollcall_workers") == 1
    assert "gauge could not be read" in caplog.text


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_metric_follows_the_naming_conventions(metric: catalog.Metric) -> None:
    assert metric.name.startswith("rollcall_")
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.help.endswith(".")
    assert len(metric.help) > 10
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert all(low < high for low, high in pairwise(metric.buckets))
    # The collector expects no labels on histograms.
    assert not (metric.buckets and metric.labels)


def test_metric_names_are_distinct() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_counting_a_request_takes_microseconds(metrics: Metrics) -> None:
    counts = {"stored": 1}

    def count() -> None:
        metrics.count_request("/track", 200, 0.003, counts)

    number = 2_000
    best = min(timeit.repeat(count, number=number, repeat=20)) / number
    # About 1 on a quiet machine, without coverage.
    assert best < 20e-6

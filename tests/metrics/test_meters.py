"""What is counted comes out as it was counted."""

import timeit
from itertools import pairwise

import pytest

from app.metrics import catalog
from app.metrics.board import Board
from app.metrics.catalog import METRICS
from app.metrics.layout import Layout
from app.metrics.meters import Meters
from tests.support.metric_figures import figures_of


@pytest.fixture
def board() -> Board:
    return Board(Layout({"route": ("/track",), "code": ("overloaded",)}))


@pytest.fixture
def meters(board: Board) -> Meters:
    return Meters(board)


def test_a_request_is_counted_with_its_events_and_its_time(
    board: Board, meters: Meters
) -> None:
    meters.count_request("/track", 200, 0.001, {"stored": 2, "duplicate": 1})
    meters.count_request("/track", 200, 0.0011, {"stored": 1})
    meters.count_request("/track", 503, 99.0, {})

    figures = figures_of(board)
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


def test_a_commit_is_counted(board: Board, meters: Meters) -> None:
    meters.count_commit(5, 0.2)
    meters.count_commit(6, 0.3)

    figures = figures_of(board)
    assert figures("rollcall_commit_events_bucket", le="5.0") == 1
    assert figures("rollcall_commit_events_sum") == 11
    assert figures("rollcall_commit_duration_seconds_sum") == pytest.approx(0.5)


def test_whatever_is_not_in_a_set_is_other(board: Board, meters: Meters) -> None:
    before = {family.name for family in figures_of(board).families}
    for number in range(100):
        meters.count_request(f"/{number}", 600 + number, 0.1, {f"r{number}": 1})
        meters.add(catalog.REFUSALS, f"code{number}")
        meters.add(catalog.WARNINGS, f'"}}\n{number}')

    figures = figures_of(board)
    assert figures("rollcall_requests_total", route="other", status="other") == 100
    assert figures("rollcall_events_total", result="other") == 100
    assert figures("rollcall_refusals_total", code="other") == 100
    assert figures("rollcall_warnings_total", warning="other") == 100
    assert {family.name for family in figures.families} == before


def test_gauges_are_read_when_they_are_published(board: Board, meters: Meters) -> None:
    depth = 1
    meters.watch({catalog.BODIES_WAITING: lambda: depth})
    meters.publish()
    depth = 2
    assert figures_of(board)("rollcall_bodies_waiting") == 1
    meters.publish()

    figures = figures_of(board)
    assert figures("rollcall_bodies_waiting") == 2
    assert figures("rollcall_resident_memory_bytes") > 1_000_000
    assert figures("rollcall_cpu_seconds_total") > 0


def test_a_gauge_that_cannot_be_read_kills_nobody(
    board: Board, meters: Meters, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> float:
        raise LookupError("a defect")

    meters.watch({catalog.BODIES_WAITING: fail})
    meters.publish()

    assert "a gauge could not be read" in caplog.text
    assert figures_of(board)("rollcall_workers") == 1


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_follow_the_conventions(metric: catalog.Metric) -> None:
    assert metric.name.startswith("rollcall_")
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.help.endswith(".")
    assert len(metric.help) > 10
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert all(low < high for low, high in pairwise(metric.buckets))
    # A histogram's cells are found without a look-up, so it has no labels.
    assert not (metric.buckets and metric.labels)


def test_names_are_distinct() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_counting_a_request_costs_microseconds(meters: Meters) -> None:
    counts = {"stored": 1}

    def count() -> None:
        meters.count_request("/track", 200, 0.003, counts)

    number = 2_000
    best = min(timeit.repeat(count, number=number, repeat=20)) / number
    # About 1; there is room for a busy machine and for coverage.
    assert best < 20e-6

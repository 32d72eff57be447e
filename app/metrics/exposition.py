"""The rows of all processes added up, in the format that Prometheus asks for."""

import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from typing_extensions import override

from app.metrics import catalog
from app.metrics.board import Board
from app.metrics.catalog import METRICS, Metric
from app.metrics.layout import ALIVE_AT

# A worker that has said nothing for so long is gone, or as good as gone.
_SILENCE_S = 5.0


def expose(
    board: Board, *, accept: str, version: str, probed: Mapping[Metric, float]
) -> tuple[bytes, str]:
    """The figures of all workers.

    Args:
        board: has the rows.
        accept: the header of whoever asks, empty where there is none.
        version: Rollcall's.
        probed: gauges that were read for this answer, in place of those in the rows.

    Returns:
        The text and its content type.
    """
    try:
        encode, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # it asks for a version that is none
        encode, content_type = choose_encoder("")
    return encode(Figures(board, version, probed)), content_type


class Figures(Collector):
    """The figures of all workers, added up."""

    def __init__(
        self, board: Board, version: str, probed: Mapping[Metric, float]
    ) -> None:
        self._layout = board.layout
        self._version = version
        self._probed = probed
        self._rows = board.rows()
        heard = time.monotonic() - _SILENCE_S
        self._alive = [row for row in self._rows if row[ALIVE_AT] > heard]

    @override
    def collect(self) -> Iterator[Family]:
        for metric in METRICS:
            match metric.kind:
                case "counter":
                    yield self._counter(metric)
                case "gauge":
                    yield self._gauge(metric)
                case "histogram":
                    yield self._histogram(metric)
        info = GaugeMetricFamily(
            "rollcall_build_info",
            "Always 1; its labels say what runs.",
            labels=("version", "python"),
        )
        info.add_metric((self._version, platform.python_version()), 1)
        yield info

    def _counter(self, metric: Metric) -> Family:
        family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
        for values in self._layout.series(metric):
            total = self._sum(self._layout.cell(metric, *values))
            if total or not metric.sparse:
                family.add_metric(values, total)
        return family

    def _gauge(self, metric: Metric) -> Family:
        family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
        for values in self._layout.series(metric):
            family.add_metric(values, self._figure(metric, values))
        return family

    def _figure(self, metric: Metric, values: Sequence[str]) -> float:
        if metric in self._probed:
            return self._probed[metric]
        if metric is catalog.WORKERS:
            return len(self._alive)
        cell = self._layout.cell(metric, *values)
        figures = [row[cell] for row in self._alive]
        return max(figures, default=0.0) if metric.across == "max" else sum(figures)

    def _histogram(self, metric: Metric) -> Family:
        first = self._layout.cell(metric)
        bounds = [*(str(float(bound)) for bound in metric.buckets), "+Inf"]
        counts = [self._sum(first + number) for number in range(len(bounds))]
        family = HistogramMetricFamily(metric.name, metric.help)
        family.add_metric(
            (),
            buckets=list(zip(bounds, accumulate(counts), strict=True)),
            sum_value=self._sum(first + len(bounds)),
        )
        return family

    def _sum(self, cell: int) -> float:
        return sum(row[cell] for row in self._rows)

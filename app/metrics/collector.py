"""Metrics of all workers in Prometheus' format: their snapshots, merged at a scrape."""

import platform
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
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

from app.metrics.catalog import METRICS, WORKERS, Metric
from app.metrics.counters import Metrics
from app.metrics.snapshots import SEPARATOR, read_snapshots

# The gauges of a worker that has published nothing for so long are left out.
_SILENT_S = 5.0
_MAXIMA = {metric.name for metric in METRICS if metric.across == "max"}

# By metric name and label values.
Series = dict[tuple[str, ...], float]


class SnapshotCollector(Collector):
    """Publishes this worker's metrics, then merges the snapshots of all workers.

    Args:
        metrics: of this worker.
        version: of Rollcall.
        probed: gauges that were read for this scrape.
    """

    def __init__(
        self, metrics: Metrics, *, version: str, probed: Mapping[Metric, float]
    ) -> None:
        self._metrics = metrics
        self._version = version
        self._probed = probed

    @override
    def collect(self) -> Iterator[Family]:
        series = self._merge()
        series |= {metric.name: {(): value} for metric, value in self._probed.items()}
        for metric in METRICS:
            yield _family(metric, series[metric.name])
        info = GaugeMetricFamily(
            "rollcall_build_info",
            "Always 1; the labels are the versions of Rollcall and Python.",
            labels=("version", "python"),
        )
        info.add_metric((self._version, platform.python_version()), 1)
        yield info

    def _merge(self) -> dict[str, Series]:
        snapshots = {self._metrics.snapshot_name: self._metrics.publish()}
        if self._metrics.directory is not None:
            snapshots = read_snapshots(self._metrics.directory) | snapshots
        merged: dict[str, Series] = defaultdict(dict)
        since = time.monotonic() - _SILENT_S
        alive = [each.gauges for each in snapshots.values() if each.alive_at > since]
        for figures in (*(each.counters for each in snapshots.values()), *alive):
            for key, value in figures.items():
                name, *values = key.split(SEPARATOR)
                series, labels = merged[name], tuple(values)
                before = series.get(labels, 0.0)
                combined = max(before, value) if name in _MAXIMA else before + value
                series[labels] = combined
        merged[WORKERS.name] = {(): len(alive)}
        return merged


def _family(metric: Metric, series: Series) -> Family:
    if metric.kind == "histogram":
        counts = accumulate(series[part,] for part in metric.parts[:-1])
        histogram = HistogramMetricFamily(metric.name, metric.help)
        buckets = list(zip(metric.parts, counts, strict=False))
        histogram.add_metric((), buckets=buckets, sum_value=series["sum",])
        return histogram
    family = (
        GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
        if metric.kind == "gauge"
        else CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    )
    for values, value in series.items():
        if value or not metric.sparse:
            family.add_metric(values, value)
    return family


def expose(
    metrics: Metrics, *, accept: str, version: str, probed: Mapping[Metric, float]
) -> tuple[bytes, str]:
    """Render the metrics of all workers.

    Args:
        metrics: of this worker.
        accept: value of the request's `Accept` header; may be empty.
        version: of Rollcall.
        probed: gauges that were read for this scrape.

    Returns:
        The text and its content type.
    """
    try:
        encode, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # the header asks for an invalid version
        encode, content_type = choose_encoder("")
    collector = SnapshotCollector(metrics, version=version, probed=probed)
    return encode(collector), content_type

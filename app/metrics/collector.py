"""Metrics of all workers in Prometheus' format: their snapshots, merged at a scrape."""

import time
from collections import defaultdict
from itertools import accumulate

from prometheus_client import core
from prometheus_client.exposition import choose_encoder

from app.metrics.catalog import DATABASE_UP, METRICS, SEPARATOR, Metric
from app.metrics.counters import Metrics
from app.metrics.snapshots import read_snapshots

# The gauges of a worker that has published nothing for so long are left out.
_SILENT_S = 5.0
_MAXIMA = {metric.name for metric in METRICS if metric.across == "max"}

SamplesByLabels = dict[tuple[str, ...], float]


class _Families(list[core.Metric]):
    """The families of a scrape, as the encoders take them."""

    def collect(self) -> list[core.Metric]:
        return self


def merge(metrics: Metrics) -> dict[str, SamplesByLabels]:
    """Publish this worker's metrics; return those of all by name and label values."""
    snapshots = {metrics.snapshot_name: metrics.publish()}
    if metrics.directory is not None:
        snapshots = read_snapshots(metrics.directory) | snapshots
    merged: dict[str, SamplesByLabels] = defaultdict(dict)
    since = time.monotonic() - _SILENT_S
    for each in snapshots.values():
        gauges = each.gauges if each.alive_at > since else {}
        for key, value in (each.counters | gauges).items():
            name, *labels = key.split(SEPARATOR)
            series, values = merged[name], tuple(labels)
            before = series.get(values, 0.0)
            series[values] = max(before, value) if name in _MAXIMA else before + value
    return merged


def totals(metrics: Metrics) -> dict[str, float]:
    """Sum of each metric of all workers over its labels, by its name."""
    return {name: sum(series.values()) for name, series in merge(metrics).items()}


def expose(metrics: Metrics, *, accept: str, database_up: bool) -> tuple[bytes, str]:
    """Render the metrics of all workers; returns the text and its content type."""
    series = merge(metrics)
    series[DATABASE_UP.name] = {(): float(database_up)}
    try:
        encode, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # the header asks for an invalid version
        encode, content_type = choose_encoder("")
    families = _Families(_family(metric, series[metric.name]) for metric in METRICS)
    return encode(families), content_type


def _family(metric: Metric, series: SamplesByLabels) -> core.Metric:
    if metric.kind == "histogram":
        counts = accumulate(series[part,] for part in metric.parts[:-1])
        buckets = list(zip(metric.parts, counts, strict=False))
        return core.HistogramMetricFamily(
            metric.name, metric.help, buckets=buckets, sum_value=series["sum",]
        )
    is_gauge = metric.kind == "gauge"
    make = core.GaugeMetricFamily if is_gauge else core.CounterMetricFamily
    family = make(metric.name, metric.help, labels=metric.labels)
    for values, value in series.items():
        if value or not metric.sparse:
            family.add_metric(values, value)
    return family

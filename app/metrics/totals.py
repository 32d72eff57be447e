"""Totals of the metrics of all workers, for pages."""

from collections import defaultdict

from prometheus_client.registry import Collector


def totals(collector: Collector) -> dict[str, float]:
    """Sum of each metric over its labels, by the name of its samples.

    Args:
        collector: merges the metrics of all workers.
    """
    sums: dict[str, float] = defaultdict(float)
    for family in collector.collect():
        for sample in family.samples:
            sums[sample.name] += sample.value
    return sums

"""Samples of a scrape, parsed as Prometheus parses them."""

from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families

from app.metrics.collector import expose
from app.metrics.counters import Metrics

Series = tuple[str, tuple[tuple[str, str], ...]]


class Figures:
    """Samples of one scrape.

    Args:
        text: in Prometheus' format.
    """

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))
        self.samples: dict[Series, float] = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in self.families
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        """One sample; 0 if it is absent."""
        return self.samples.get((name, tuple(sorted(labels.items()))), 0.0)

    def total(self, name: str) -> float:
        """Sum of all series with a name."""
        return sum(value for (of, _), value in self.samples.items() if of == name)

    def labels(self, name: str, label: str) -> set[str]:
        """Values of a label."""
        return {dict(labels)[label] for of, labels in self.samples if of == name}

    def counters(self) -> Iterator[tuple[Series, float]]:
        """Samples that must never decrease, those of histograms included."""
        for family in self.families:
            if family.type in {"counter", "histogram"}:
                for sample in family.samples:
                    series = sample.name, tuple(sorted(sample.labels.items()))
                    yield series, sample.value


def figures_of(metrics: Metrics) -> Figures:
    text, _ = expose(metrics, accept="", database_up=True)
    return Figures(text.decode())

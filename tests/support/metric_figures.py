"""What a scrape says, read as Prometheus reads it."""

from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families

from app.metrics.board import Board
from app.metrics.catalog import DATABASE_UP
from app.metrics.exposition import expose

Series = tuple[str, tuple[tuple[str, str], ...]]


class Figures:
    """The samples of one scrape.

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
        """One sample; 0 where there is none."""
        return self.samples.get((name, tuple(sorted(labels.items()))), 0.0)

    def total(self, name: str) -> float:
        """All series of a name together."""
        return sum(value for (of, _), value in self.samples.items() if of == name)

    def labels(self, name: str, label: str) -> set[str]:
        """The values that a label has."""
        return {dict(labels)[label] for of, labels in self.samples if of == name}

    def counters(self) -> Iterator[tuple[Series, float]]:
        """Whatever may never go back, a histogram's samples included."""
        for family in self.families:
            if family.type in {"counter", "histogram"}:
                for sample in family.samples:
                    series = sample.name, tuple(sorted(sample.labels.items()))
                    yield series, sample.value


def figures_of(board: Board) -> Figures:
    text, _ = expose(board, accept="", version="1.2.3", probed={DATABASE_UP: 1.0})
    return Figures(text.decode())

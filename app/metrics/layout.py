"""Where the cells of each series lie in a row."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import product

from app.metrics.catalog import METRICS, Metric
from app.metrics.labels import LABELS, OTHER

# The first cell of a row: when its worker last said that it lives, on the monotonic
# clock, which all processes of a machine share; 0 where nobody ever did.
ALIVE_AT = 0


class Layout:
    """The same for all processes that run the same code.

    Args:
        labels: the values of those labels that `LABELS` does not have; all is other
            where they are left out.

    Attributes:
        keys: a name for each cell, in order; other code may have other cells under
            some of these names, and more.
        fingerprint: differs where the keys do.
    """

    def __init__(self, labels: Mapping[str, tuple[str, ...]] | None = None) -> None:
        given = {name: (*values, OTHER) for name, values in (labels or {}).items()}
        self._values = LABELS | given
        self._cells: dict[tuple[str, ...], int] = {}
        self.keys = ["alive_at"]
        for metric in METRICS:
            for values in self.series(metric):
                self._cells[metric.name, *values] = len(self.keys)
                self.keys += [
                    " ".join((metric.name, *values, part)) for part in _parts(metric)
                ]
        listed = json.dumps(self.keys).encode()
        self.fingerprint = hashlib.sha256(listed).hexdigest()[:16]

    def series(self, metric: Metric) -> Iterator[tuple[str, ...]]:
        """The values of its labels, for each of its series."""
        return product(*map(self._values_of, metric.labels))

    def cell(self, metric: Metric, *values: str) -> int:
        """The first cell of a series; a value that is none of the label's is other."""
        cell = self._cells.get((metric.name, *values))
        if cell is not None:
            return cell
        known = [
            value if value in self._values_of(label) else OTHER
            for label, value in zip(metric.labels, values, strict=True)
        ]
        return self._cells[metric.name, *known]

    def _values_of(self, label: str) -> tuple[str, ...]:
        return self._values.get(label, (OTHER,))


def _parts(metric: Metric) -> list[str]:
    """Of a histogram a cell for each bucket, that without a bound, and the sum."""
    if metric.kind != "histogram":
        return [metric.kind]
    return [*(f"le{bound}" for bound in metric.buckets), "leInf", "sum"]

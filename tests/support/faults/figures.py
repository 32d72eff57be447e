"""The table of figures: the bars of each row, and the measured values."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.support.faults.ledger import Verdict


@dataclass(frozen=True, slots=True)
class Figure:
    """One bar of one row.

    Attributes:
        row: as F1.
        fault: in a few words.
        what: is measured.
        bar: as a text.
        measured: likewise.
        met: whether it holds.
    """

    row: str
    fault: str
    what: str
    bar: str
    measured: str
    met: bool


@dataclass(slots=True)
class Row:
    """The measurements of one fault.

    Args:
        slack: factor on the bars of times before a test fails; the table says
            whether they hold without it.
    """

    name: str
    fault: str
    slack: float = 1.0
    figures: list[Figure] = field(default_factory=list)
    _failures: list[str] = field(default_factory=list)

    def seconds(self, what: str, measured: float, *, at_most: float) -> None:
        """A time."""
        self._add(what, f"<= {at_most:g} s", f"{measured:.2f} s", measured <= at_most)
        if measured > at_most * self.slack:
            self._fail()

    def at_most(self, what: str, measured: float, limit: float, unit: str = "") -> None:
        """A number that no slowness of the machine excuses."""
        met = measured <= limit
        self._add(what, f"<= {limit:g}{unit}", f"{measured:.4g}{unit}", met)
        if not met:
            self._fail()

    def at_least(self, what: str, measured: float, limit: float) -> None:
        """Likewise, from below."""
        met = measured >= limit
        self._add(what, f">= {limit:g}", f"{measured:.4g}", met)
        if not met:
            self._fail()

    def ratio(self, what: str, measured: float, *, at_most: float) -> None:
        """A ratio of two times; as noisy as they are."""
        self._add(what, f"<= {at_most:g}x", f"{measured:.2f}x", measured <= at_most)
        if measured > at_most * self.slack:
            self._fail()

    def holds(self, what: str, *, met: bool, measured: str = "") -> None:
        """Add a figure that is true or false."""
        self._add(what, "yes", measured or ("yes" if met else "no"), met)
        if not met:
            self._fail()

    def told(self, what: str, measured: str) -> None:
        """Add a figure that has no bar."""
        self._add(what, "-", measured, met=True)

    def verdict(self, verdict: Verdict) -> None:
        """The four zeros."""
        text = "/".join(map(str, verdict))
        self._add("lost/dup/torn/phantom", "0/0/0/0", text, not any(verdict))
        if any(verdict):
            self._fail()

    def settle(self) -> None:
        """Fail if a bar was missed."""
        assert not self._failures, "; ".join(self._failures)

    def as_dicts(self) -> list[dict[str, object]]:
        return [asdict(figure) for figure in self.figures]

    def _add(self, what: str, bar: str, measured: str, met: bool) -> None:
        self.figures.append(Figure(self.name, self.fault, what, bar, measured, met))

    def _fail(self) -> None:
        figure = self.figures[-1]
        self._failures.append(
            f"{figure.row} {figure.what}: {figure.measured}, not {figure.bar}"
        )


def render(figures: list[dict[str, object]]) -> list[str]:
    """The table as lines of text, its rows in the order of their numbers."""
    names = ("met", "row", "fault", "what", "bar", "measured")
    lines = [names] + [
        tuple(
            ("yes" if figure[name] else "NO") if name == "met" else str(figure[name])
            for name in names
        )
        for figure in sorted(figures, key=_number)
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(len(names))]
    return [
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def write_json(figures: list[dict[str, object]], path: Path) -> None:
    """The same for programs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(sorted(figures, key=_number), indent=1) + "\n")


def _number(figure: dict[str, object]) -> tuple[int, str]:
    name = str(figure["row"])
    digits = "".join(letter for letter in name if letter.isdigit())
    return int(digits or 99), name

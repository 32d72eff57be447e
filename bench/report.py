"""From rounds of figures to medians, ratios, a table and a file."""

import json
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from bench.load.scenarios import Scenario
from bench.measurements.comparison import Figures

RESULTS = Path(__file__).with_name("results")
_TITLES = {
    "rollcall": "Rollcall",
    "baseline": "FastAPI + ORM",
    "echo": "echo (HTTP limit)",
    "insert": "insert without HTTP",
    "statement": "one statement without HTTP",
    "copy": "COPY",
}


class Bar(NamedTuple):
    """One thing that the figures must show.

    Attributes:
        name: what it is.
        value: measured.
        limit: the least, or the most.
        at_least: which of them.
    """

    name: str
    value: float
    limit: float
    at_least: bool = True

    @property
    def met(self) -> bool:
        """Whether it holds."""
        if self.at_least:
            return self.value >= self.limit
        return self.value <= self.limit


def bars(rounds: dict[str, list[Figures]]) -> list[Bar]:
    """The ratios of medians that were promised, as measured."""
    one = _median(rounds, "rollcall w1 b1", "requests_per_s")
    many = _median(rounds, "rollcall w2 b100", "events_per_s")
    echo = _median(rounds, "echo w1 b1", "requests_per_s")
    orm = _median(rounds, "baseline w1 b1", "requests_per_s")
    insert = _median(rounds, "insert w2 b100", "events_per_s")
    statement = _median(rounds, "statement w2 b100", "events_per_s")
    found = [
        Bar("single events, 1 worker / FastAPI + ORM", one / orm, 20),
        Bar("single events, 1 worker / echo", one / echo, 0.40),
        Bar("batches of 100, 2 workers / insert x 2", many / insert, 0.80),
        Bar("batches of 100, 2 workers / statement x 2", many / statement, 0.60),
        Bar("statement x 2 / insert x 2", statement / insert, 1.25),
    ]
    for name, runs in rounds.items():
        halves = [figures["half"] for figures in runs if "half" in figures]
        if halves:
            tail = median(half["p99"] / half["p50"] for half in halves)
            slowest = max(half["slowest"] for half in halves)
            found += [
                Bar(f"{name} at half: p99 / p50", tail, 5, at_least=False),
                Bar(f"{name} at half: slowest, ms", slowest, 100, at_least=False),
            ]
    return found


def _median(rounds: dict[str, list[Figures]], name: str, figure: str) -> float:
    return float(median(figures[figure] for figures in rounds[name]))


def show(
    scenarios: tuple[Scenario, ...], rounds: dict[str, list[Figures]], console: Console
) -> None:
    """Print the table, then the bars."""
    count = len(next(iter(rounds.values())))
    console.print(f"Medians of {count} rounds; milliseconds are at half of saturation")
    table = Table(box=None, pad_edge=False)
    table.add_column("what", no_wrap=True)
    for head in (
        *("workers", "batch", "requests/s", "events/s", "least", "most"),
        *("us CPU/request", "cores busy", "p50 ms", "p90", "p99", "slowest"),
        *("sent late", "checkpoints"),
    ):
        table.add_column(head, justify="right", no_wrap=True)
    for scenario in scenarios:
        table.add_row(
            _TITLES[scenario.kind],
            str(scenario.workers),
            str(scenario.batch),
            *_cells(rounds[scenario.name]),
        )
    console.print(table)
    for bar in bars(rounds):
        sign = ">=" if bar.at_least else "<="
        mark = "ok    " if bar.met else "MISSED"
        console.print(f"{mark} {bar.name}: {bar.value:.3g} ({sign} {bar.limit:g})")


def _cells(runs: list[Figures]) -> list[str]:
    rates = [figures["events_per_s"] for figures in runs]
    cells = [
        _middle(runs, "requests_per_s", ",.0f"),
        *(f"{rate:,.0f}" for rate in (median(rates), min(rates), max(rates))),
        _middle(runs, "cpu_us_per_request", ".1f"),
        _middle(runs, "cores_busy", ".2f"),
    ]
    halves = [figures["half"] for figures in runs if "half" in figures]
    if halves:
        cells += [_middle(halves, name, ".2f") for name in ("p50", "p90", "p99")]
        cells.append(f"{max(half['slowest'] for half in halves):.1f}")
        cells.append(_middle(halves, "lag_p99", ".2f"))
    if "checkpoints" in runs[0]:
        happened = sum(run["checkpoints"] for run in [*runs, *halves])
        cells += [""] * (11 - len(cells)) + [str(happened)]
    return cells


def _middle(runs: list[Figures], name: str, form: str) -> str:
    values = [figures[name] for figures in runs if name in figures]
    return format(median(values), form) if values else ""


def write(name: str, content: dict[str, Any]) -> Path:
    """Write a result into a file of its own; returns its path."""
    RESULTS.mkdir(exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    path = RESULTS / f"{stamp}-{name}.json"
    path.write_text(json.dumps(content, indent=2) + "\n")
    return path

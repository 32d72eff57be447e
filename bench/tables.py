"""The printed form of growth, memory, start and profile."""

from collections import Counter
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.measurements.growth import Stage
from bench.measurements.memory import Growth
from bench.measurements.profiling import Profile
from bench.measurements.starting import Start

_MB = 1024**2
_ROWS = 25


def _table(title: str, *heads: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if number else "left", no_wrap=True)
    return table


def show_stages(stages: list[Stage], console: Console) -> None:
    """Print the rate at each size beside that at the first, then the sizes."""
    first = stages[0]
    table = _table(
        "Events/s in batches of 100 on two connections, medians",
        *("rows", "after a checkpoint", "of the first", "steady", "of the first"),
    )
    for stage in stages:
        after, steady = median(stage.after_checkpoint), median(stage.steady)
        table.add_row(
            f"{stage.rows:,}",
            f"{after:,.0f}",
            f"{after / median(first.after_checkpoint):.2f}",
            f"{steady:,.0f}",
            f"{steady / median(first.steady):.2f}",
        )
    console.print(table)
    for stage in stages:
        if stage.relations:
            _show_sizes(stage, console)


def _show_sizes(stage: Stage, console: Console) -> None:
    table = _table(f"MB at {stage.rows:,} rows and those measured", "what", "MB")
    for relation in stage.relations:
        table.add_row(relation.name, f"{relation.size / _MB:,.0f}")
    heap = sum(r.size for r in stage.relations if not r.is_index)
    indexes = sum(r.size for r in stage.relations if r.is_index)
    table.add_row("tables together", f"{heap / _MB:,.0f}")
    table.add_row("indexes together", f"{indexes / _MB:,.0f}")
    console.print(table)


def show_memory(workers: list[Growth], console: Console) -> None:
    """Print what each worker held, minute by minute."""
    table = _table("MB resident", "worker", "peak", "growth", "each minute")
    for number, worker in enumerate(workers, 1):
        minutes = " ".join(f"{held:.1f}" for held in worker.minutes)
        growth = f"{worker.growth:+.1f}"
        table.add_row(str(number), f"{worker.peak:.1f}", growth, minutes)
    console.print(table)


def show_starts(starts: dict[int, list[Start]], console: Console) -> None:
    """Print the medians for each number of workers."""
    table = _table(
        "Seconds of a warm start, medians", "workers", "port open", "first 200", "most"
    )
    for workers, runs in starts.items():
        table.add_row(
            str(workers),
            f"{median(start.listens for start in runs):.2f}",
            f"{median(start.answers for start in runs):.2f}",
            f"{max(start.answers for start in runs):.2f}",
        )
    console.print(table)


def show_profile(title: str, profile: Profile, console: Console) -> None:
    """Print where the time goes, by place and by function."""
    places: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for place, function, count in profile.counts:
        places[place] += count
        functions[f"{place} {function}"] += count
    total = places.total()
    console.print(
        f"{title}: {profile.us:.1f} us CPU a request"
        f" ({profile.requests:,} requests, {total:,} samples)"
    )
    for heading, counts in (("place", places), ("function", functions)):
        table = _table("", heading, "us", "share")
        for name, count in counts.most_common(_ROWS):
            share = count / total
            table.add_row(name, f"{share * profile.us:.1f}", f"{share:.1%}")
        console.print(table)

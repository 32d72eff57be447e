"""`python -m bench`: each command measures one thing, prints it and ends by itself."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from platform import python_version
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console

from bench.baselines import baseline, echo
from bench.baselines.stand import Factory, stand
from bench.baselines.ways import Way
from bench.database import BenchmarkError, Server, postgres
from bench.load.scenarios import SCENARIOS, make_files
from bench.load.wrk import find_wrk
from bench.machine import describe, python_build
from bench.measurements.comparison import Comparison, Figures
from bench.measurements.growth import Growing
from bench.measurements.memory import watch
from bench.measurements.profiling import profile_app, profile_service, serve_sampled
from bench.measurements.starting import measure_starts
from bench.measurements.watchers import Measurement, show_watchers
from bench.report import bars, show, write
from bench.tables import show_memory, show_profile, show_stages, show_starts

# Cores that others may use without the figures being worthless.
_IDLE = 0.2

app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
# Wide, so that a table in a file is not cut.
console = Console(width=170, soft_wrap=True)
progress = Console(stderr=True)

Directory = Annotated[
    Path | None,
    typer.Option("--place", help="A directory on a disk, for the databases."),
]


@app.command()
def compare(rounds: int = 5, seconds: int = 4, directory: Directory = None) -> None:
    """Rollcall, the baseline and the limits, in turn; what `make bench` runs."""
    find_wrk()
    with _measuring(directory, minutes=60) as (server, machine):
        progress.print("Making the requests ...")
        comparison = Comparison(server, seconds, make_files(server, seconds))
        found: dict[str, list[Figures]] = {s.name: [] for s in SCENARIOS}
        for number in range(1, rounds + 1):
            for scenario in SCENARIOS:
                figures = comparison.measure(scenario)
                found[scenario.name].append(figures)
                rate = figures["events_per_s"]
                progress.print(f"{number}/{rounds} {scenario.name}: {rate:,.0f}/s")
    show(SCENARIOS, found, console)
    console.print(f"Python {python_version()}: {python_build()}")
    results = {
        "seconds": seconds,
        "bars": [{**bar._asdict(), "met": bar.met} for bar in bars(found)],
        "runs": found,
    }
    _write("compare", machine, results)


@app.command()
def growth(
    sizes: str = "0,5000000,20000000",
    cycles: int = 5,
    events: int = 100_000,
    way: Way = "insert",
    directory: Directory = None,
) -> None:
    """The insert rate as the tables grow; 20 million rows take 25 GB of disk."""
    with _measuring(directory, minutes=180) as (server, machine):
        growing = Growing(server, way, events, cycles, progress)
        stages = list(growing.measure([int(size) for size in sizes.split(",")]))
    show_stages(stages, console)
    _write(f"growth-{way}", machine, [asdict(stage) for stage in stages])


@app.command()
def memory(
    minutes: float = 10,
    warm_up: float = 2,
    workers: int = 2,
    directory: Directory = None,
) -> None:
    """What each worker holds under load, and whether that grows."""
    find_wrk()
    limit = 2 * (minutes + warm_up) + 5
    with _measuring(directory, minutes=limit) as (server, machine):
        held = watch(server, minutes=minutes, warm_up=warm_up, workers=workers)
    show_memory(held, console)
    _write("memory", machine, [worker._asdict() for worker in held])


@app.command()
def start(count: int = 5, directory: Directory = None) -> None:
    """How long a warm `rollcall serve` takes to the first event that is stored."""
    with _measuring(directory, minutes=10) as (server, machine):
        starts = {
            workers: measure_starts(server.directory, count=count, workers=workers)
            for workers in (1, 2)
        }
    show_starts(starts, console)
    results = {n: [run._asdict() for run in runs] for n, runs in starts.items()}
    _write("start", machine, results)


@app.command()
def profile(seconds: int = 20, directory: Directory = None) -> None:
    """Where each microsecond of a request with one event goes."""
    find_wrk()
    with _measuring(directory, minutes=10) as (server, machine):
        profiles = {
            "The pipeline alone (dry run)": profile_app(server, seconds, dry_run=True),
            "The pipeline and the store": profile_app(server, seconds, dry_run=False),
            "A worker at saturation": profile_service(server, seconds),
        }
    for title, found in profiles.items():
        show_profile(title, found, console)
    results = {title: found._asdict() for title, found in profiles.items()}
    _write("profile", machine, results)


@app.command()
def watchers(
    pairs: int = 6,
    seconds: int = 5,
    workers: int = 2,
    count: int = 50,
    directory: Directory = None,
) -> None:
    """CPU time that watchers of the live page add to a fixed rate of events."""
    with _measuring(directory, minutes=20) as (server, machine):
        measurement = Measurement(server, seconds, workers, count, progress)
        found = {b: measurement.measure(b, pairs=pairs) for b in (1, 100)}
    show_watchers(found, console)
    _write(
        "watchers", machine, {b: [p._asdict() for p in ps] for b, ps in found.items()}
    )


@app.command("stand", hidden=True)
def stand_command(what: str, url: str, key: str, workers: int) -> None:
    """Serve what Rollcall is compared with."""
    factory: Factory = partial(baseline.create_app, url, key)
    if what == "echo":
        factory = echo.create_app
    with _ends_within(minutes=60):
        stand(factory, name=what, workers=workers)


@app.command("sampled", hidden=True)
def sampled_command(url: str, path: Path) -> None:
    """Serve Rollcall, and look at it meanwhile."""
    with _ends_within(minutes=60):
        serve_sampled(url, path)


@contextmanager
def _measuring(
    place: Path | None, *, minutes: float
) -> Iterator[tuple[Server, dict[str, Any]]]:
    """A Postgres for a measurement, and what there is to say of the machine."""
    with _ends_within(minutes=minutes), postgres(place) as server:
        machine = describe(server)
        _warn_if_busy(machine)
        yield server, machine


def _warn_if_busy(machine: dict[str, Any]) -> None:
    busy = machine["machine"]["cores_busy_before"]
    if busy > _IDLE:
        progress.print(f"The machine is busy ({busy:.1f} cores): do not believe this.")


def _write(name: str, machine: dict[str, Any], results: Any) -> None:
    console.print(f"Written to {write(name, machine | {'results': results})}")
    _warn_if_busy(machine)


@contextmanager
def _ends_within(*, minutes: float) -> Iterator[None]:
    """Leave in good order on a signal, and send it when the time is up."""
    signal.signal(signal.SIGTERM, _leave)
    alarm = threading.Timer(minutes * 60, os.kill, (os.getpid(), signal.SIGTERM))
    alarm.daemon = True
    alarm.start()
    try:
        yield
    finally:
        alarm.cancel()


def _leave(number: int, frame: FrameType | None) -> None:
    del frame
    sys.exit(f"bench: ended by signal {number}")


if __name__ == "__main__":
    try:
        app()
    except BenchmarkError as error:
        sys.exit(f"bench: {error}")

"""`rollcall rejected replay`."""

import asyncio
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from app.cli.configuration import read_settings
from app.cli.database import current
from app.cli.filters import Event, Reason, Since, Source
from app.cli.listing import say_remark
from app.main import event_policy
from app.store.replay import Replayed
from app.store.replay import replay as replay_selected
from app.store.selection import Selection
from app.store.session import in_transaction, with_engine
from app.store.triage import Survey, survey


def replay(
    *,
    reason: Reason = None,
    event: Event = None,
    source: Source = None,
    since: Since = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Name each event that still fails.")
    ] = False,
) -> None:
    """Judge them by today's rules, and store what passes; safe to repeat.

    The exit status is 0 once all were judged, even if some still fail: they stay in
    quarantine as they were.
    """
    settings = read_settings()
    selection = Selection(reason, event, source, since)
    batches: list[Replayed] = []
    with current(settings) as database:
        count = partial(survey, selection=selection)
        found = asyncio.run(in_transaction(database.url, count))
        try:
            with _progress() as progress:
                task = progress.add_task("Replaying", total=found.replayable)

                def report(batch: Replayed) -> None:
                    batches.append(batch)
                    progress.advance(task, batch.events)

                work = partial(
                    replay_selected,
                    selection=replace(selection, until=found.newest),
                    policy=event_policy(settings),
                    report=report,
                )
                asyncio.run(with_engine(database.url, work))
        finally:
            # Also where it ends early: what was moved stays moved.
            _tell(batches, found, verbose=verbose)


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(
        *Progress.get_default_columns(),
        MofNCompleteColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def _tell(batches: list[Replayed], found: Survey, *, verbose: bool) -> None:
    failures = [failure for batch in batches for failure in batch.failures]
    stored = sum(batch.stored for batch in batches)
    duplicates = sum(batch.duplicates for batch in batches)
    typer.echo(
        f"{stored} stored, {duplicates} already stored, {len(failures)} still rejected."
    )
    reasons = Counter(failure.errors[0].code for failure in failures)
    for reason, count in reasons.most_common():
        typer.echo(f"  {count:7} {reason}")
    if found.conflicts or found.truncated:
        typer.echo(
            f"Left alone: {found.conflicts} id_conflict, {found.truncated} truncated."
        )
    if verbose:
        for failure in failures:
            for error in failure.errors:
                typer.echo(f"{failure.id} {say_remark(error)}")

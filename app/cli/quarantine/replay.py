"""`rollcall rejected replay`."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from app.cli.configuration import read_settings
from app.cli.database import open_checked
from app.cli.quarantine.filters import (
    EventOption,
    ReasonOption,
    SinceOption,
    SourceOption,
)
from app.cli.quarantine.output import print_issue
from app.components.policy import event_policy
from app.pipeline.fields.corrections import Corrections, is_correctable
from app.store.lifecycle.audit import command_actor
from app.store.quarantine.queries import SelectionCounts, count_selection
from app.store.quarantine.replay import Failure, Replayed
from app.store.quarantine.replay import replay as replay_selected
from app.store.read.filters import RejectedFilter


def read_corrections(texts: Iterable[str]) -> dict[str, str]:
    """The fields that `--set` gives.

    Raises:
        BadParameter: one of them is not FIELD=VALUE with a field of an event.
    """
    fields: dict[str, str] = {}
    for text in texts:
        path, equals, value = text.partition("=")
        if not equals or not is_correctable(path) or path in fields:
            raise typer.BadParameter(
                f"{text} is not FIELD=VALUE with a field such as user_id, group_id, "
                "timestamp, event, message_id or properties.email, each once.",
                param_hint="--set",
            )
        fields[path] = value
    return fields


def replay(
    *,
    reason: ReasonOption = None,
    event: EventOption = None,
    source: SourceOption = None,
    since: SinceOption = None,
    ids: Annotated[
        list[UUID] | None,
        typer.Option("--id", metavar="ID", help="One event. Repeatable."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="Correct a field of all selected events, as user_id=42 or "
            "properties.email=a@example.com. Repeatable.",
        ),
    ] = None,
    accept_placeholder: Annotated[
        bool,
        typer.Option(
            "--accept-placeholder",
            help="Take a placeholder such as `none` for a real user or group id.",
        ),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Name each event that still fails.")
    ] = False,
) -> None:
    """Process rejected events by today's rules, and store the valid ones.

    It is safe to repeat. The exit status is 0 once all were processed, even if some
    still fail: they stay in quarantine as they were.
    """
    settings = read_settings()
    selection = RejectedFilter(
        reason=reason,
        event=event,
        source=source,
        since=since,
        ids=tuple(ids) if ids else None,
        is_corrected=False,
    )
    corrections = Corrections(
        read_corrections(set_ or ()), accepts_placeholders=accept_placeholder
    )
    if set_ and selection == RejectedFilter(is_corrected=False):
        raise typer.BadParameter(
            "Select the events to correct by --id or another filter.",
            param_hint="--set",
        )
    tally: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    with open_checked(settings) as database:
        found = database.transact(count_selection, selection=selection)
        # Where each failure is named, that is progress enough.
        with _progress(shown=not verbose) as progress:
            task = progress.add_task("Replaying", total=found.replayable)

            def report(batch: Replayed) -> None:
                tally["stored"] += batch.stored
                tally["duplicates"] += batch.duplicates
                reasons.update(failure.errors[0].code for failure in batch.failures)
                progress.advance(task, batch.events)
                if verbose:
                    _name(batch.failures)

            try:
                database.run(
                    replay_selected,
                    selection=replace(selection, until=found.until),
                    policy=event_policy(settings),
                    actor=command_actor(),
                    report=report,
                    corrections=corrections,
                )
            finally:
                # Also after an error, because moved events stay moved.
                progress.stop()
                _tell(tally, reasons, found)


def _progress(*, shown: bool) -> Progress:
    console = Console(stderr=True)
    return Progress(
        *Progress.get_default_columns(),
        MofNCompleteColumn(),
        console=console,
        disable=not (shown and console.is_terminal),
    )


def _name(failures: list[Failure]) -> None:
    for failure in failures:
        for error in failure.errors:
            typer.echo(f"{failure.id} {print_issue(error)}")


def _tell(tally: Counter[str], reasons: Counter[str], found: SelectionCounts) -> None:
    typer.echo(
        f"{tally['stored']} stored, {tally['duplicates']} already stored,"
        f" {reasons.total()} still rejected."
    )
    for reason, count in reasons.most_common():
        typer.echo(f"  {count:7} {reason}")
    if found.conflicts or found.truncated:
        typer.echo(
            f"Left alone: {found.conflicts} id_conflict, {found.truncated} truncated."
        )

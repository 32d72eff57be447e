"""`rollcall rejected`: list, show, replay and purge rejected events."""

from dataclasses import replace
from typing import Annotated

import typer

from app.cli.configuration import read_settings
from app.cli.database import echo_err, open_checked
from app.cli.quarantine.filters import (
    EventOption,
    ReasonOption,
    SinceOption,
    SourceOption,
)
from app.cli.quarantine.output import (
    describe_drops,
    describe_rejected,
    print_table,
    to_ndjson,
)
from app.cli.quarantine.replay import replay
from app.errors import ConfigurationError
from app.store.lifecycle.audit import command_actor
from app.store.quarantine import queries
from app.store.read.filters import RejectedFilter

rejected = typer.Typer(
    help="List, explain, replay and delete rejected events.",
    no_args_is_help=True,
)


@rejected.command(name="list")
def list_newest(
    *,
    reason: ReasonOption = None,
    event: EventOption = None,
    source: SourceOption = None,
    since: SinceOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of events.")] = 50,
    json: Annotated[bool, typer.Option("--json", help="Print NDJSON.")] = False,
) -> None:
    """List the newest rejected events, and count those that were not kept."""
    selection = RejectedFilter(reason=reason, event=event, source=source, since=since)
    with open_checked(read_settings()) as database:
        listing = database.transact(
            queries.list_rejected, selection=selection, limit=limit
        )
    if json:
        for line in to_ndjson(listing):
            typer.echo(line)
        for drops in listing.drops:
            echo_err(describe_drops(drops))
    else:
        print_table(listing)
    echo_err(f"{len(listing.rows)} of {listing.counts.events} shown.")


@rejected.command()
def show(
    id_: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")],
) -> None:
    """Show all that is known of one event, its payload included."""
    with open_checked(read_settings()) as database:
        row = database.transact(queries.show_rejected, id_=id_)
    typer.echo(describe_rejected(row))


rejected.command()(replay)


@rejected.command()
def purge(
    *,
    reason: ReasonOption = None,
    event: EventOption = None,
    source: SourceOption = None,
    since: SinceOption = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Every one; needed without a filter.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete them for good."""
    selection = RejectedFilter(reason=reason, event=event, source=source, since=since)
    if all_ == (selection != RejectedFilter()):
        raise ConfigurationError(
            "Say which: by --reason, --event, --source or --since, or else --all."
        )
    gone: list[int] = []
    with open_checked(read_settings()) as database:
        found = database.transact(queries.count_selection, selection=selection)
        if not (yes or not found.events):
            typer.confirm(
                f"Delete {found.events} rejected events?", abort=True, err=True
            )
        ended = replace(selection, until=found.until)
        try:
            if found.events:
                database.run(
                    queries.purge,
                    selection=ended,
                    actor=command_actor(),
                    report=gone.append,
                )
        finally:
            echo_err(f"{sum(gone)} deleted.")

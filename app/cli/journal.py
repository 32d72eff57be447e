"""`rollcall journal`: events on this machine's disk that wait for Postgres."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.cli.configuration import read_settings
from app.cli.database import open_checked
from app.components.policy import make_quarantine
from app.settings import Settings
from app.store.journal.fallback import journal_directory
from app.store.journal.inspection import JournalStatus, drain_free, find_journals
from app.store.operator.psql import describe_target

journal = typer.Typer(
    help="Show and store the events that wait on this machine for Postgres.",
    no_args_is_help=True,
)


@journal.command()
def status() -> None:
    """List the journals: their entries, bytes, the age of the oldest, their state."""
    settings = read_settings()
    directory = journal_directory(settings.data_dir.absolute())
    table = Table("journal", "state", "entries", "bytes", "oldest", box=None)
    found = find_journals(directory)
    for each in found:
        table.add_row(*_row(each))
    if found:
        width = None if typer.get_text_stream("stdout").isatty() else 200
        Console(width=width).print(table)
    entries = sum(each.held.entries for each in found if each.held is not None)
    target = (
        "the embedded Postgres"
        if settings.database_url is None
        else describe_target(settings.database_url.get_secret_value())
    )
    typer.echo(f"{entries} events wait in {directory}. They go to: {target}.")


@journal.command()
def drain(
    file: Annotated[
        Path | None,
        typer.Argument(
            exists=True,
            dir_okay=False,
            help="Only this journal, such as a copy from a lost machine.",
        ),
    ] = None,
) -> None:
    """Store the entries of journals that no running process owns; safe to repeat.

    The exit status is 1 if some entries are left.
    """
    settings = read_settings()
    if file is not None:
        _drain(settings, file.parent, file)
        return
    directory = journal_directory(settings.data_dir)
    found = find_journals(directory)
    owned = sum(each.state == "owned" for each in found)
    if owned:
        typer.echo(f"Left to the processes that own them: {owned} journals.")
    if not any(each.state == "free" for each in found):
        typer.echo("Nothing else waits.")
        return
    _drain(settings, directory, None)


def _drain(settings: Settings, directory: Path, file: Path | None) -> None:
    with open_checked(settings) as database:
        drained = database.run(
            drain_free,
            directory=directory,
            timeout_s=settings.commit_timeout_seconds,
            quarantine=make_quarantine(settings),
            file=file,
        )
    typer.echo(
        f"{drained.confirmed} events stored from {drained.journals} journals, "
        f"{drained.left} left."
    )
    if drained.left:
        raise typer.Exit(1)


def _row(found: JournalStatus) -> tuple[str, ...]:
    if found.held is None:
        return found.name, found.state, "?", "?", "?"
    entries, size, oldest_at = found.held
    age = "" if oldest_at is None else f"{time.time() - oldest_at:.0f} s"
    return found.name, found.state, str(entries), str(size), age

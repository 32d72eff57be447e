"""The `rollcall` command.

stdout carries what was asked for and nothing else; all that is said beside it goes
to stderr. An error that the operator can mend is one line there, and exit status 1.
"""

import sys

import typer

from app.cli.erase import erase
from app.cli.events import events
from app.cli.export import export
from app.cli.import_events import import_events
from app.cli.journal import journal
from app.cli.keys import keys
from app.cli.migrate import migrate
from app.cli.psql import psql
from app.cli.quarantine.commands import rejected
from app.cli.retention import retention
from app.cli.serve import serve
from app.cli.signals import exit_on_signals, open_streams
from app.cli.validate import validate
from app.errors import OperatorError


def main() -> None:
    """Run the command that the arguments name."""
    open_streams()
    exit_on_signals()
    try:
        _commands()()
    except OperatorError as error:
        typer.echo(f"rollcall: {error.detail}", err=True)
        sys.exit(1)


def _commands() -> typer.Typer:
    commands = typer.Typer(
        name="rollcall",
        help="Stores B2B SaaS lifecycle events, and commits before it responds.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    commands.command()(serve)
    commands.command()(migrate)
    commands.add_typer(events, name="events")
    commands.add_typer(keys, name="keys")
    commands.add_typer(journal, name="journal")
    commands.add_typer(rejected, name="rejected")
    commands.command()(validate)
    commands.command(name="import")(import_events)
    commands.command()(export)
    commands.command()(retention)
    commands.command()(erase)
    commands.command(
        # All of them are psql's, --help included.
        context_settings={
            "allow_extra_args": True,
            "ignore_unknown_options": True,
            "help_option_names": [],
        },
        add_help_option=False,
    )(psql)
    return commands

"""The `rollcall` command.

stdout carries the requested output and nothing else; everything else goes to stderr.
An error that the operator can fix is one line there, and exit status 1.
"""

import sys
from importlib.metadata import version
from pkgutil import resolve_name
from typing import Annotated, Any

import typer

from app.cli.signals import exit_on_signals, open_streams
from app.environment import process_environment
from app.errors import OperatorError

# Each command: its function or group in this package, which is imported when it is
# run, and its line in the list of commands.
COMMANDS = {
    "serve": ("serve:serve", "Start the service."),
    "migrate": ("migrate:migrate", "Bring the schema up to date."),
    "check": ("check:check", "Check database, machine and settings."),
    "events": ("events.commands:events", "Event declarations."),
    "keys": ("keys:keys", "Create, rotate, list and revoke keys."),
    "journal": ("journal:journal", "Events that wait on this machine for Postgres."),
    "rejected": ("quarantine.commands:rejected", "Rejected events."),
    "validate": (
        "files.validate:validate",
        "Check the events of files; store nothing.",
    ),
    "import": ("files.import_events:import_events", "Store the events of files."),
    "export": ("files.export:export", "Write stored events as NDJSON or CSV."),
    "retention": ("retention:retention", "Delete events older than a limit."),
    "erase": ("erase:erase", "Erase one person."),
    "distribute": (
        "distribute:distribute",
        "Distribute the events over Citus nodes.",
    ),
    "psql": ("psql:psql", "Run psql on the configured database."),
}
# All arguments belong to psql, including --help.
_OF_PSQL: dict[str, Any] = {
    "context_settings": {
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    },
    "add_help_option": False,
}


def main() -> None:
    """Run the command that the arguments name."""
    open_streams()
    exit_on_signals()
    try:
        build_commands(_command_of(sys.argv[1:]))()
    except OperatorError as error:
        typer.echo(f"rollcall: {error.detail}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:  # while the command was imported; Typer does the rest
        sys.exit(130)


def build_commands(only: str | None = None) -> typer.Typer:
    """Build the command line.

    Importing all commands takes a second, so `rollcall --help` imports none.

    Args:
        only: the command to import, or "" for none; the others can only be listed.
            None imports all.
    """
    commands = typer.Typer(
        name="rollcall",
        help="Stores B2B SaaS lifecycle events, and commits before it responds.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    commands.callback()(_options)
    if only != "":
        from app.pipeline.json_decode import (  # noqa: PLC0415 - the help does not need it
            allow_deep_bodies,
        )

        allow_deep_bodies()
    for name, (target, summary) in COMMANDS.items():
        options: dict[str, Any] = {"name": name, "short_help": summary}
        if only not in {None, name}:
            commands.command(**options)(_not_imported)
            continue
        loaded = resolve_name(f"app.cli.{target}")
        if isinstance(loaded, typer.Typer):
            commands.add_typer(loaded, **options)
        else:
            more = _OF_PSQL if name == "psql" else {}
            commands.command(**options, **more)(loaded)
    return commands


def _print_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"rollcall {version('rollcall')}")
        raise typer.Exit


def _options(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version, and exit.",
        ),
    ] = False,
) -> None:
    """Take the options of all commands."""


def _not_imported() -> None:
    raise AssertionError


def _command_of(arguments: list[str]) -> str:
    """The command that is run or completed; "" if there is none."""
    environment = process_environment()  # typer completes by variables of it
    completed = environment.get("_TYPER_COMPLETE_ARGS", environment.get("COMP_WORDS"))
    words = arguments or (completed or "").split()[1:]
    words = [word for word in words if not word.startswith("-")]
    return words[0] if words else ""

"""The `rollcall` command.

stdout carries the requested output and nothing else; everything else goes to stderr.
An error that the operator can fix is one line there, and exit status 1.
"""

import sys
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, NamedTuple

import typer

from app.cli.signals import exit_on_signals, open_streams
from app.environment import process_environment
from app.errors import OperatorError


class _Command(NamedTuple):
    """A command, which is imported when it is run.

    Attributes:
        module: module in this package.
        summary: its line in the list of commands.
        attribute: its function or group there; by default the name of the command.
    """

    module: str
    summary: str
    attribute: str = ""


COMMANDS = {
    "serve": _Command("serve", "Start the service."),
    "migrate": _Command("migrate", "Bring the schema up to date."),
    "check": _Command("check", "Check database, machine and settings."),
    "events": _Command("events.commands", "Event declarations.", "events"),
    "keys": _Command("keys", "Create, rotate, list and revoke keys."),
    "journal": _Command("journal", "Events that wait on this machine for Postgres."),
    "rejected": _Command("quarantine.commands", "Rejected events."),
    "validate": _Command("files.validate", "Check the events of files; store nothing."),
    "import": _Command(
        "files.import_events", "Store the events of files.", "import_events"
    ),
    "export": _Command("files.export", "Write stored events as NDJSON or CSV."),
    "retention": _Command("retention", "Delete events older than a limit."),
    "erase": _Command("erase", "Erase one person."),
    "distribute": _Command("distribute", "Distribute the events over Citus nodes."),
    "psql": _Command("psql", "Run psql on the configured database."),
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
    for name, command in COMMANDS.items():
        options: dict[str, Any] = {"name": name, "short_help": command.summary}
        if only is None or only == name:
            module = import_module(f"app.cli.{command.module}")
            loaded = getattr(module, command.attribute or name)
            if isinstance(loaded, typer.Typer):
                commands.add_typer(loaded, **options)
            else:
                more = _OF_PSQL if name == "psql" else {}
                commands.command(**options, **more)(loaded)
        else:
            commands.command(**options)(_not_imported)
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

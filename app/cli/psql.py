"""`rollcall psql`: SQL on whichever database is configured."""

import signal
import subprocess

import typer

from app.cli.configuration import read_settings
from app.cli.database import opened
from app.embedded import find_binaries
from app.settings import child_environment
from app.store.psql import psql_environment


def psql(context: typer.Context) -> None:
    """Run psql on the configured database; all arguments are psql's."""
    settings = read_settings()
    with opened(settings) as database:
        bin_dir = database.bin_dir or find_binaries(settings.postgres_bin)
        # Ctrl-C ends the query, not this process: psql must outlive it to say so.
        # A handler of ours, unlike SIG_IGN, is not inherited by what is executed.
        signal.signal(signal.SIGINT, lambda *_: None)
        done = subprocess.run(  # noqa: S603 - the operator's own arguments
            [bin_dir / "psql", *context.args],
            env=child_environment(**psql_environment(database.url)),
            check=False,
        )
    raise typer.Exit(done.returncode if done.returncode >= 0 else 1)

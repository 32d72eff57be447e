"""`rollcall psql`: psql on the configured database."""

import signal
import subprocess

import typer

from app.cli.configuration import read_settings
from app.cli.database import describe_database, echo_err, open_database
from app.embedded import find_binaries
from app.settings import child_environment
from app.store.operator.psql import psql_environment


def psql(context: typer.Context) -> None:
    """Run psql on the configured database; all arguments are those of psql."""
    settings = read_settings()
    with open_database(settings) as database:
        bin_dir = database.bin_dir or find_binaries(settings.postgres_bin)
        echo_err(describe_database(settings, database))
        # Ctrl-C ends the query, not this process, which waits for psql. Unlike
        # SIG_IGN, a Python handler is not inherited by the program.
        signal.signal(signal.SIGINT, lambda *_: None)
        done = subprocess.run(  # noqa: S603 - the operator's own arguments
            [bin_dir / "psql", *context.args],
            env=child_environment(**psql_environment(database.url)),
            check=False,
        )
    raise typer.Exit(done.returncode if done.returncode >= 0 else 1)

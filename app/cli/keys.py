"""`rollcall keys`: who may send, and who may read."""

import asyncio
from enum import StrEnum
from functools import partial
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.cli.configuration import read_settings
from app.cli.database import echo_err, open_checked
from app.settings import Settings
from app.store.keys.keys import create_key, list_keys, revoke_key
from app.store.keys.snapshot_file import KeySnapshotFile, publish_keys
from app.store.operator_session import in_operator_transaction

keys = typer.Typer(help="Make, list and revoke keys.", no_args_is_help=True)


class Purpose(StrEnum):
    """What a key is for."""

    WRITE = "write"
    READ = "read"


@keys.command()
def create(
    source: Annotated[
        str,
        typer.Option(help="Who will send, or read, with it: billing-backend, ann."),
    ],
    scope: Annotated[
        Purpose, typer.Option(help="Whether it sends events, or reads all of them.")
    ] = Purpose.WRITE,
) -> None:
    """Make a key and print it: the only time that it can be seen."""
    settings = read_settings()
    with open_checked(settings) as database:
        make = partial(create_key, source=source, scope=scope.value)
        key = asyncio.run(in_operator_transaction(database.url, make))
        _publish(settings, database.url)
    typer.echo(key)


@keys.command(name="list")
def list_all() -> None:
    """List all keys, by their ids: the keys themselves are stored nowhere."""
    with open_checked(read_settings()) as database:
        rows = asyncio.run(in_operator_transaction(database.url, list_keys))
    table = Table("id", "source", "created", "scope", "revoked", box=None)
    for row in rows:
        table.add_row(
            row.id,
            row.source,
            f"{row.created_at:%Y-%m-%d %H:%M:%SZ}",
            row.scope,
            f"{row.revoked_at:%Y-%m-%d %H:%M:%SZ}" if row.revoked_at else "",
        )
    Console(width=None if typer.get_text_stream("stdout").isatty() else 200).print(
        table
    )


@keys.command()
def revoke(
    key: Annotated[str, typer.Argument(help="The id that `list` shows, or the key.")],
) -> None:
    """Revoke a key; every worker refuses it within 5 seconds."""
    settings = read_settings()
    with open_checked(settings) as database:
        row = asyncio.run(
            in_operator_transaction(database.url, partial(revoke_key, key_or_id=key))
        )
        _publish(settings, database.url)
    echo_err(f"Revoked {row.id} of {row.source}.")


def _publish(settings: Settings, url: str) -> None:
    """Have it known to a service on this machine, should Postgres go away now."""
    if settings.journal == "off" or not settings.data_dir.is_dir():
        return
    publish = partial(publish_keys, file=KeySnapshotFile(settings.data_dir))
    if not asyncio.run(in_operator_transaction(url, publish)):
        echo_err(
            f"The file of keys in {settings.data_dir} could not be brought up to date."
        )

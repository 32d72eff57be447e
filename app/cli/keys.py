"""`rollcall keys`: create, rotate, list and revoke keys."""

import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.cli.configuration import read_settings
from app.cli.database import Database, echo_err, open_checked
from app.settings import Settings
from app.store.keys.keys import (
    KeyRow,
    create_key,
    hash_key,
    key_id,
    list_keys,
    revoke_key,
    rotate_key,
)
from app.store.keys.snapshot_file import KeySnapshotFile, publish_keys
from app.store.lifecycle.audit import command_actor

keys = typer.Typer(help="Create, rotate, list and revoke keys.", no_args_is_help=True)

_UNITS = {"h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"([1-9]\d{0,4})([hdw])")
_KEEP = timedelta(hours=24)
_SCOPES = (
    "write sends events; metrics reads /metrics; read reads events of all sources; "
    "read:SOURCE reads those of one source; operate also corrects, replays and purges; "
    "erase also erases persons."
)


def read_duration(value: str) -> timedelta:
    """Return the time span of a text such as `12h`, `30d` or `4w`."""
    match = _DURATION.fullmatch(value)
    if match is None:
        raise typer.BadParameter("give a number and h, d or w, such as 30d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


@keys.command()
def create(
    *,
    source: Annotated[
        str, typer.Option(help="Name of the sender or holder: billing-backend, ann.")
    ],
    scope: Annotated[
        str, typer.Option(metavar="SCOPE", help=f"What the key may do: {_SCOPES}")
    ] = "write",
    expires: Annotated[
        timedelta | None,
        typer.Option(
            parser=read_duration, metavar="TIME", help="Time it works, such as 30d."
        ),
    ] = None,
    note: Annotated[str | None, typer.Option(help="Remark for `list`.")] = None,
    from_stdin: Annotated[
        bool,
        typer.Option(
            "--from-stdin",
            help="Take the key from the standard input, for example from a secret "
            "store, and print nothing. Repeating it changes nothing.",
        ),
    ] = False,
) -> None:
    """Create a key and print it, alone, on the standard output: it is shown once."""
    settings = read_settings()
    given = sys.stdin.read().strip() if from_stdin else None
    with open_checked(settings, create=True) as database:
        key = database.transact(
            create_key,
            source=source,
            scope=scope,
            actor=command_actor(),
            expires_in=expires,
            note=note,
            given=given,
        )
        _publish(settings, database)
    if given is None:
        typer.echo(key)
    else:
        echo_err(f"The key {key_id(hash_key(key.encode()))} of {source} exists.")


@keys.command()
def rotate(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Id of the key.")],
    keep: Annotated[
        timedelta | None,
        typer.Option(
            parser=read_duration,
            metavar="TIME",
            show_default="24h",
            help="Time the old key still works.",
        ),
    ] = None,
) -> None:
    """Create a successor of a key, print it alone, and let the old key expire."""
    settings = read_settings()
    keep = _KEEP if keep is None else keep
    with open_checked(settings) as database:
        key = database.transact(rotate_key, id_=id_, actor=command_actor(), keep=keep)
        _publish(settings, database)
    typer.echo(key)
    until = datetime.now(UTC) + keep
    echo_err(f"The old key {id_} works until {until:%Y-%m-%d %H:%M}Z at the latest.")


@keys.command(name="list")
def list_all() -> None:
    """List all keys by id; the keys themselves are not stored."""
    with open_checked(read_settings()) as database:
        rows = database.transact(list_keys)
    columns = ("id", "source", "scope", "created", "last used", "state", "note")
    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(
            row.id,
            row.source,
            row.scope,
            f"{row.created_at:%Y-%m-%d %H:%M:%SZ}",
            f"{row.last_used_on:%Y-%m-%d}" if row.last_used_on else "never",
            _state_of(row, now=datetime.now(UTC)),
            row.note or "",
        )
    width = None if typer.get_text_stream("stdout").isatty() else 200
    Console(width=width, markup=False, emoji=False).print(table)


@keys.command()
def revoke(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Id that `list` shows.")],
) -> None:
    """Revoke a key; every worker refuses it within 5 seconds."""
    settings = read_settings()
    with open_checked(settings) as database:
        row = database.transact(revoke_key, id_=id_, actor=command_actor())
        _publish(settings, database)
    echo_err(f"Revoked {row.id} of {row.source}.")


def _state_of(row: KeyRow, *, now: datetime) -> str:
    if row.revoked_at is not None:
        return f"revoked {row.revoked_at:%Y-%m-%d %H:%M:%SZ}"
    if row.expires_at is None:
        return "live"
    verb = "expires" if row.expires_at > now else "expired"
    return f"{verb} {row.expires_at:%Y-%m-%d %H:%M:%SZ}"


def _publish(settings: Settings, database: Database) -> None:
    """Update the snapshot of keys, in case Postgres becomes unavailable now."""
    if settings.journal == "off" or not settings.data_dir.is_dir():
        return
    if not database.transact(publish_keys, file=KeySnapshotFile(settings.data_dir)):
        echo_err(f"The snapshot of keys in {settings.data_dir} could not be updated.")

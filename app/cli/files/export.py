"""`rollcall export`: stored events, as NDJSON or CSV."""

import asyncio
import gzip
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from io import BufferedIOBase
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Annotated, Any, BinaryIO, TypeAlias

import typer

from app.cli.configuration import read_settings
from app.cli.database import echo_err, open_checked, record_command
from app.cli.erase import person_of
from app.cli.files.csv_output import CsvLines
from app.cli.quarantine.filters import SourceOption, time_option
from app.components.database import read_url
from app.components.policy import event_policy
from app.errors import OperatorError
from app.pipeline.persons.person import Person
from app.store.journal.fallback import journal_directory
from app.store.lifecycle.audit import command_actor
from app.store.lifecycle.person_export import MAX_MEMORY, collect_person
from app.store.read.export import export_events
from app.store.read.filters import EventFilter
from app.store.read.row_json import row_json

# Stdout is only the former where it is unbuffered, a gzipped file only the latter.
_Output: TypeAlias = BinaryIO | BufferedIOBase

_PIECE_BYTES = 256 * 1024


class OutputFormat(StrEnum):
    """How events are written."""

    NDJSON = "ndjson"
    CSV = "csv"


def export(
    *,
    event: Annotated[str | None, typer.Option(metavar="NAME", help="Its name.")] = None,
    source: SourceOption = None,
    user: Annotated[str | None, typer.Option(help="The user it is about.")] = None,
    group: Annotated[str | None, typer.Option(help="The account it is about.")] = None,
    since: Annotated[
        datetime | None,
        time_option("Happened then or later: 7d, 2023-11-02T00:30:00Z."),
    ] = None,
    until: Annotated[datetime | None, time_option("Happened before that.")] = None,
    stored_since: Annotated[
        datetime | None, time_option("Stored then or later, for incremental loads.")
    ] = None,
    stored_until: Annotated[datetime | None, time_option("Stored before that.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="A file; gzipped if it ends in .gz."),
    ] = None,
    form: Annotated[
        OutputFormat | None,
        typer.Option("--format", help="NDJSON, unless the file's name says CSV."),
    ] = None,
    typed: Annotated[
        bool,
        typer.Option("--typed", help="With --event: a column for each property."),
    ] = False,
    raw_cells: Annotated[
        bool,
        typer.Option(
            "--raw-cells",
            help="Do not escape formulas. Unsafe to open in a spreadsheet.",
        ),
    ] = False,
    subject: Annotated[
        str | None,
        typer.Option(
            metavar="USER_ID",
            help="All data about this person as NDJSON: events, rejected "
            "events, journal entries, mentions by others. No other filter applies.",
        ),
    ] = None,
    email: Annotated[
        list[str] | None,
        typer.Option("--email", help="Email address of the --subject; repeatable."),
    ] = None,
) -> None:
    """Write stored events to stdout or to a file.

    With --event and --typed, the columns are those of the view of that event.
    """
    if subject is not None:
        _export_subject(person_of(subject, email, option="--subject"), output)
        return
    if email:
        raise typer.BadParameter("It needs --subject.", param_hint="--email")
    settings = read_settings()
    catalog = event_policy(settings).catalog
    if event is not None and event not in catalog:
        raise typer.BadParameter(
            f"Known are {', '.join(catalog)}.", param_hint="--event"
        )
    if typed and event is None:
        raise typer.BadParameter("It needs --event.", param_hint="--typed")
    filters = EventFilter(
        event=event,
        source=source,
        user_id=user,
        group_id=group,
        since=since,
        until=until,
        stored_since=stored_since,
        stored_until=stored_until,
    )
    is_csv = (form or _form_of(output)) is OutputFormat.CSV
    lines = CsvLines(raw=raw_cells) if is_csv else _ndjson_lines
    count = 0
    with open_checked(settings) as database, _opened(output) as out:

        def write(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
            nonlocal count
            with _explained(output):
                _write(out, lines(names, rows))
            count += len(rows)

        # An export that is interrupted has been given events, too.
        record_command(database, "export.begin")
        asyncio.run(
            export_events(
                read_url(settings, default=database.url),
                filters,
                typed=typed,
                write=write,
            )
        )
        record_command(database, "export", events=count)
    echo_err(f"{count} events exported.")


def _export_subject(person: Person, output: Path | None) -> None:
    settings = read_settings()
    with (
        open_checked(settings) as database,
        _opened(output) as out,
        SpooledTemporaryFile(MAX_MEMORY) as lines,
    ):
        count = asyncio.run(
            collect_person(
                database.url,
                person,
                journals=journal_directory(settings.data_dir),
                actor=command_actor(),
                lines=lines,
            )
        )
        while piece := lines.read(_PIECE_BYTES):
            with _explained(output):
                _write(out, piece)
    echo_err(f"{count} rows exported.")


def _form_of(output: Path | None) -> OutputFormat:
    name = output.name.lower().removesuffix(".gz") if output else ""
    return OutputFormat.CSV if name.endswith(".csv") else OutputFormat.NDJSON


def _ndjson_lines(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    return b"".join(row_json(names, row) + b"\n" for row in rows)


def _write(out: _Output, content: bytes) -> None:
    """Write all of it: stdout may be unbuffered (PYTHONUNBUFFERED), and stop short."""
    rest = memoryview(content)
    while rest:
        rest = rest[out.write(rest) :]


@contextmanager
def _opened(output: Path | None) -> Iterator[_Output]:
    """Stdout, or a file that takes its name once it is whole."""
    if output is None:
        yield sys.stdout.buffer
        with _explained(None):
            sys.stdout.buffer.flush()
        return
    with _explained(output):
        whole = output.resolve()
        # A device or a pipe is written as it is; a file is not to be seen half written.
        is_special = whole.exists() and not whole.is_file()
        part = whole if is_special else whole.with_name(f"{whole.name}.part")
        file: BufferedIOBase = (
            gzip.GzipFile(part, "wb") if whole.suffix == ".gz" else part.open("wb")
        )
    try:
        yield file
        with _explained(output):
            file.close()
            if not is_special:
                part.replace(whole)
    finally:
        file.close()
        if not is_special:
            part.unlink(missing_ok=True)


@contextmanager
def _explained(output: Path | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if output is None:
            # The rest of the buffer must not fail again when Python ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # the reader has ended
            raise typer.Exit(1) from None
        raise OperatorError(
            f"Cannot write {output or 'to stdout'}: {error.strerror or error}."
        ) from error

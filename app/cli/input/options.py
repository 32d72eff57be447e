"""The file that a command reads, and how: its options."""

import os
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from app.cli.input.file import STDIN
from app.cli.input.formats import Format


def find_file(text: str) -> Path:
    """The path of what can be read: a file, a pipe, or `-` for stdin.

    Raises:
        BadParameter: it is not there, or cannot be read.
    """
    path = Path(text)
    if path == STDIN:
        return path
    if not path.exists() or path.is_dir():
        raise typer.BadParameter(f"There is no file {text}.")
    if not os.access(path, os.R_OK):
        raise typer.BadParameter(f"{text} may not be read.")
    return path


File: TypeAlias = Annotated[
    Path,
    typer.Argument(
        parser=find_file,
        metavar="FILE",
        help="What to read, gzipped or not; - is stdin.",
    ),
]
Form: TypeAlias = Annotated[
    Format | None,
    typer.Option("--format", help="Told by the file's name and content, else."),
]
Map: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="PATH=COLUMN",
        help="CSV: the column of a field, as properties.email=mail. Repeatable.",
    ),
]
Set: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=TEXT",
        help="CSV: a field that all events share, as event=signed_up. Repeatable.",
    ),
]
MapType: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--map-type",
        metavar="PATH=number",
        help="CSV: a field whose cells are numbers, else text. Repeatable.",
    ),
]

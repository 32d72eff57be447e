"""Options of the commands that read files."""

import os
from pathlib import Path
from typing import Annotated, TypeAlias
from uuid import UUID

import typer

from app.cli.input.file import STDIN, open_input
from app.cli.input.formats import Format


def find_file(text: str) -> Path:
    """The path of a readable file or pipe, or `-` for stdin.

    Raises:
        BadParameter: it is absent, a directory, not readable, or of a format that
            holds no events.
    """
    path = Path(text)
    if path == STDIN:
        return path
    if path.is_dir():
        raise typer.BadParameter(
            f"{text} is a directory; name the files in it, as in {text.rstrip('/')}/*."
        )
    if not path.exists():
        raise typer.BadParameter(f"There is no file {text}.")
    if not os.access(path, os.R_OK):
        raise typer.BadParameter(f"There is no permission to read {text}.")
    if path.is_file():
        # Before any file is imported, so that one that cannot be read stops all.
        with open_input(path):
            pass
    return path


_FILES = typer.Argument(
    parser=find_file,
    metavar="FILE",
    help="Files to read, compressed or not; - is stdin.",
)
Files: TypeAlias = Annotated[list[Path], _FILES]
OptionalFiles: TypeAlias = Annotated[list[Path] | None, _FILES]
Undo: TypeAlias = Annotated[
    UUID | None,
    typer.Option(
        metavar="ID",
        help="Delete what the import with this id has stored, as it has printed it.",
    ),
]
Form: TypeAlias = Annotated[
    Format | None,
    typer.Option("--format", help="Default: detected from file name and content."),
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
        help="CSV: the same text in all events, as event=signed_up. Repeatable.",
    ),
]
MapType: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--map-type",
        metavar="PATH=TYPE",
        help="CSV: what the cells of a field are: number, json or text. Repeatable.",
    ),
]
Null: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--null",
        metavar="TEXT",
        help=r"CSV: a cell that stands for no value, such as \N. Repeatable.",
    ),
]
DateFormat: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--date-format",
        metavar="[PATH=]FORMAT",
        help="CSV: strptime format of the timestamp, or of another field, "
        "as %d.%m.%Y %H:%M.",
    ),
]
Timezone: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="ZONE",
        help="CSV: time zone of timestamps without an offset, as Europe/Berlin. "
        "Default: UTC, with a warning.",
    ),
]
Delimiter: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="CHARACTER", help="CSV: delimiter of cells. Default: detected."
    ),
]
RawCells: TypeAlias = Annotated[
    bool,
    typer.Option("--raw-cells", help="CSV: it was exported with --raw-cells."),
]
MaxRowLines: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="CSV: lines that a quoted row may have. Default: 10, because a longer row "
        "usually comes from a stray quote.",
    ),
]

"""Options of the commands that read files; those of CSV are in `table`."""

import os
from pathlib import Path
from typing import Annotated, TypeAlias

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
FormOption: TypeAlias = Annotated[
    Format | None,
    typer.Option("--format", help="Default: detected from file name and content."),
]

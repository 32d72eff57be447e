"""The options of CSV, the same in all commands that read files."""

from collections.abc import Callable, Iterable
from functools import wraps
from inspect import signature
from typing import Annotated, Any

import typer

from app.cli.input.table.mapping import FIELDS, CellType, CsvMapping, is_path
from app.cli.input.table.times import read_timezone
from app.errors import ConfigurationError


def with_csv_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of CSV to a command, which gets them as `mapping`."""
    options = signature(read_csv_options).parameters
    own = signature(command)

    @wraps(command)
    def run(**given: Any) -> None:
        read = {name: given.pop(name) for name in options}
        command(**given, mapping=read_csv_options(**read))

    others = [each for name, each in own.parameters.items() if name != "mapping"]
    wanted = own.replace(parameters=[*others, *options.values()])
    run.__signature__ = wanted  # type: ignore[attr-defined]  # typer reads it
    return run


def read_csv_options(  # noqa: PLR0913 - the options
    *,
    map_: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="PATH=COLUMN",
            help="CSV: the column of a field, as properties.email=mail. Repeatable.",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=TEXT",
            help="CSV: the same text in all events, as event=signed_up. Repeatable.",
        ),
    ] = None,
    map_type: Annotated[
        list[str] | None,
        typer.Option(
            "--map-type",
            metavar="PATH=TYPE",
            help="CSV: what the cells of a field are: number, json or text. "
            "Repeatable.",
        ),
    ] = None,
    null: Annotated[
        list[str] | None,
        typer.Option(
            "--null",
            metavar="TEXT",
            help=r"CSV: a cell that stands for no value, such as \N. Repeatable.",
        ),
    ] = None,
    date_format: Annotated[
        list[str] | None,
        typer.Option(
            "--date-format",
            metavar="[PATH=]FORMAT",
            help="CSV: strptime format of the timestamp, or of another field, "
            "as %d.%m.%Y %H:%M.",
        ),
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option(
            metavar="ZONE",
            help="CSV: time zone of timestamps without an offset, as Europe/Berlin. "
            "Default: UTC, with a warning.",
        ),
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(
            metavar="CHARACTER", help="CSV: delimiter of cells. Default: detected."
        ),
    ] = None,
    max_row_lines: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="CSV: lines that a quoted row may have. Default: 10, because a longer "
            "row usually comes from a stray quote.",
        ),
    ] = None,
    raw_cells: Annotated[
        bool,
        typer.Option("--raw-cells", help="CSV: it was exported with --raw-cells."),
    ] = False,
) -> CsvMapping:
    """Check the options.

    Raises:
        ConfigurationError: one of them cannot be understood; the text says why.
    """
    columns = _pairs("--map", map_ or ())
    constants = _pairs("--set", set_ or ())
    twice = sorted(columns.keys() & constants.keys())
    if twice:
        raise ConfigurationError(f"--map and --set both give {', '.join(twice)}.")
    return CsvMapping(
        columns,
        constants,
        _read_types(map_type or ()),
        _read_date_formats(date_format or ()),
        frozenset(null or ()),
        None if timezone is None else read_timezone(timezone),
        _read_delimiter(delimiter),
        max_row_lines,
        raw_cells,
    )


def _pairs(option: str, texts: Iterable[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        path, equals, value = text.partition("=")
        if not equals or not value or not is_path(path):
            raise ConfigurationError(
                f"{option} {text} is not PATH=VALUE with a path such as "
                f"{', '.join(FIELDS)}, properties.email or context.group_id."
            )
        if path in pairs:
            raise ConfigurationError(f"{option} gives {path} twice.")
        pairs[path] = value
    return pairs


def _read_types(texts: Iterable[str]) -> dict[str, CellType]:
    types = _pairs("--map-type", texts)
    known = [CellType.NUMBER, CellType.JSON, CellType.TEXT]
    wrong = sorted(set(types.values()).difference(known))
    if wrong:
        raise ConfigurationError(
            f"--map-type knows {', '.join(known)}, not {', '.join(wrong)}."
        )
    return {path: CellType(name) for path, name in types.items()}


def _read_date_formats(texts: Iterable[str]) -> dict[str, str]:
    """`FORMAT` for the timestamp, or `PATH=FORMAT`."""
    pairs = [
        text if is_path(text.partition("=")[0]) else f"timestamp={text}"
        for text in texts
    ]
    formats = _pairs("--date-format", pairs)
    for text in formats.values():
        if "%" not in text:
            raise ConfigurationError(
                f"--date-format {text} has no directive such as %d, %m or %Y."
            )
    return formats


def _read_delimiter(text: str | None) -> str | None:
    delimiter = {"tab": "\t", "\\t": "\t"}.get(text or "", text)
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise ConfigurationError(
            "--delimiter is one character such as ; or |, or the word tab."
        )
    return delimiter

"""Find the delimiter of a CSV file in its first line."""

import csv
import re
from collections.abc import Callable

from app.cli.input.file import InputFile
from app.cli.input.table.mapping import CsvMapping

DELIMITERS = ",;\t|"
# Excel writes and reads this first line.
_EXCEL_HINT = re.compile(r"sep=(.)\s*")
_NAMES = {"\t": "tab"}


def find_delimiter(
    file: InputFile, mapping: CsvMapping, announce: Callable[[str], None]
) -> tuple[str, int]:
    """The delimiter, and the number of lines before the header.

    The delimiter is the one with which most columns of the header can be used, then
    the one with most columns.
    """
    hint = _EXCEL_HINT.fullmatch(first_line(file))
    if hint is not None:
        return mapping.delimiter or hint[1], 1
    if mapping.delimiter is not None:
        return mapping.delimiter, 0
    header = first_line(file)

    def score(delimiter: str) -> tuple[int, int]:
        names = split_header(header, delimiter)
        return mapping.count_used(names), len(names)

    found = max(DELIMITERS, key=score)
    if found != ",":
        name = _NAMES.get(found, f"`{found}`")
        announce(f"The delimiter seems to be {name}; --delimiter decides otherwise.")
    return found, 0


def first_line(file: InputFile) -> str:
    """The first line of a file."""
    text = file.head.decode("utf-8", "replace")
    return text.partition("\n")[0]


def split_header(line: str, delimiter: str) -> list[str]:
    """The names in a header, trimmed."""
    try:
        [names] = csv.reader([line], delimiter=delimiter)
    except (csv.Error, ValueError):
        return []
    return [name.strip() for name in names]

"""Write CSV in which no cell is run as a formula by a spreadsheet.

Senders choose the content of cells. It may begin with `=`, or begin a cell where a
spreadsheet expects another delimiter or quote than the file has (OWASP, "CSV
Injection").
"""

import csv
import io
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.pipeline.timestamp import format_timestamp
from app.store.read.row_json import JsonText

# Full-width characters included: some spreadsheets treat them alike.
_FORMULA = "=+\\-@\uff1d\uff0b\uff0d\uff20"
_BEHIND = ",;|\"'"
_APOSTROPHES = re.compile(rf"'(?=[{_FORMULA}\t\r\n])")
_STARTS = re.compile(rf"(?:^|(?<=[{_BEHIND}\t\r\n]))(?=[{_FORMULA}\t\r\n])")
# Outside strings, Postgres never writes these one behind the other in jsonb.
_JSON_STARTS = re.compile(rf"(?<=[{_BEHIND}])[{_FORMULA}]")


def escape_formulas(text: str) -> str:
    """The text with an apostrophe before all that a spreadsheet might run."""
    return _STARTS.sub("'", text)


def unescape_formulas(text: str) -> str:
    """The inverse of `escape_formulas`.

    It is exact: a character that starts a formula has an apostrophe of ours directly
    before it wherever it has any, because one of the sender's would have got another.
    """
    return _APOSTROPHES.sub("", text)


def escape_formulas_in_json(text: str) -> str:
    r"""The same JSON, as Postgres writes it, with `\u003d` and the like instead."""
    return _JSON_STARTS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class CsvLines:
    """Writes rows as CSV (RFC 4180), the header first.

    Args:
        raw: whether to leave formulas as they are.
    """

    def __init__(self, *, raw: bool) -> None:
        self._raw = raw
        self._has_names = False

    def __call__(self, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
        """The lines of some rows, after the header in the first call."""
        out = io.StringIO(newline="")
        writer = csv.writer(out)
        if not self._has_names:
            writer.writerow(names)
            self._has_names = True
        for row in rows:
            writer.writerow(map(self._cell, row))
        return out.getvalue().encode()

    def _cell(self, value: object) -> str:
        match value:
            case None:
                return ""
            case datetime():
                return format_timestamp(value)
            case JsonText() if not self._raw:
                return escape_formulas_in_json(value)
            case str() if not self._raw:
                return escape_formulas(value)
            case _:
                return str(value)

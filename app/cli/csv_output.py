"""CSV that a spreadsheet only shows: no cell of it is run as a formula.

What a sender chose may begin with `=`, or may begin a cell where a spreadsheet takes
another delimiter, or another quote, than the file has (OWASP, "CSV Injection").
"""

import csv
import io
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.pipeline.timestamp import format_timestamp

_JSON_COLUMNS = frozenset({"properties", "context", "warnings"})
# Also as wide characters, which some spreadsheets take for the same.
_FORMULA = "=+\\-@\uff1d\uff0b\uff0d\uff20"
_BEHIND = ",;|\"'"
_STARTS = re.compile(rf"(?:^|(?<=[{_BEHIND}\t\r\n]))(?=[{_FORMULA}\t\r\n])")
# Outside its texts, jsonb as text has none of these behind one another.
_JSON_STARTS = re.compile(rf"(?<=[{_BEHIND}])[{_FORMULA}]")


def escape_formulas(text: str) -> str:
    """The text with an apostrophe before all that a spreadsheet might run."""
    return _STARTS.sub("'", text)


def escape_formulas_json(text: str) -> str:
    r"""The same JSON, as Postgres writes it, with `\u003d` and the like instead."""
    return _JSON_STARTS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class CsvLines:
    """Writes rows as RFC 4180 has them, the names of the columns first.

    Args:
        raw: whether cells are written as they are, for what is no spreadsheet.
    """

    def __init__(self, *, raw: bool) -> None:
        self._raw = raw
        self._has_names = False

    def __call__(self, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
        """The lines of some rows, and at the first call the header."""
        out = io.StringIO(newline="")
        writer = csv.writer(out)
        if not self._has_names:
            writer.writerow(names)
            self._has_names = True
        for row in rows:
            writer.writerow(map(self._cell, names, row))
        return out.getvalue().encode()

    def _cell(self, name: str, value: object) -> str:
        match value:
            case None:
                return ""
            case datetime():
                return format_timestamp(value)
            case str() if not self._raw:
                mend = (
                    escape_formulas_json if name in _JSON_COLUMNS else escape_formulas
                )
                return mend(value)
            case _:
                return str(value)

"""One declaration, read from a TOML file."""

import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from typing_extensions import override

from app.declarations.toml_lines import find_line
from app.events.declaration import Declaration

MAX_FILE_BYTES = 256 * 1024
_MAX_SHOWN = 80
_LINE = re.compile(r" \(at line (\d+), column \d+\)")
_KEY_AT_START = re.compile(r"`(\w+)`")
_MESSAGES = {
    "extra_forbidden": "There is no such key.",
    "missing": "This key is missing.",
    "string_type": "This must be a string.",
    "bool_type": "This must be true or false.",
    "int_type": "This must be an integer.",
    "dict_type": "This must be a table.",
    "model_type": "This must be a table.",
    "list_type": "This must be an array.",
}


class Problem(NamedTuple):
    """One error in a declaration.

    Attributes:
        line: from 1.
        message: place in the declaration, the error and the expected value.
    """

    file: Path
    line: int
    message: str

    @override
    def __str__(self) -> str:
        """The form that editors and terminals make a link of."""
        return f"{self.file}:{self.line}: {self.message}"


class DeclarationFile(NamedTuple):
    """A file with its text and the valid declaration in it."""

    path: Path
    text: str
    declaration: Declaration

    def problem(self, message: str, *place: str) -> Problem:
        """A problem at a place of the file."""
        return Problem(self.path, find_line(self.text, place), message)


def read_declaration(path: Path) -> DeclarationFile | list[Problem]:
    """Read and validate one file; nothing in it is executed."""
    text = _read_text(path)
    if isinstance(text, Problem):
        return [text]
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = _LINE.search(str(error))
        line = int(at[1]) if at else text.count("\n") + 1
        return [Problem(path, line, f"Invalid TOML: {_LINE.sub('', str(error))}.")]
    except RecursionError:
        return [Problem(path, 1, "Invalid TOML: nested too deep.")]
    except ValueError as error:
        return [Problem(path, 1, f"Invalid TOML: {str(error)[:200]}.")]
    try:
        return DeclarationFile(path, text, Declaration.model_validate(document))
    except ValidationError as error:
        return [
            _problem(path, text, detail) for detail in error.errors(include_url=False)
        ]


def _read_text(path: Path) -> str | Problem:
    try:
        # A pipe or a device would block or never end.
        if not path.is_file():
            return Problem(path, 1, "This is not a regular file.")
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return Problem(path, 1, f"The file cannot be read: {reason}.")
    if len(content) > MAX_FILE_BYTES:
        return Problem(path, 1, f"The file is larger than {MAX_FILE_BYTES} bytes.")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        return Problem(path, line, "The file is not UTF-8.")


def _problem(path: Path, text: str, detail: ErrorDetails) -> Problem:
    place = [step for step in detail["loc"] if step != "[key]"]
    names = ".".join(map(_shown, place))
    message = _MESSAGES.get(detail["type"]) or _own_message(detail)
    # An error of a whole table names the key that it is about.
    key = _KEY_AT_START.match(message)
    line = find_line(text, [*place, key[1]] if key else place)
    return Problem(path, line, f"{names}: {message}" if names else message)


def _own_message(detail: ErrorDetails) -> str:
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    if detail["type"] == "string_pattern_mismatch":
        pattern = detail["ctx"]["pattern"]
        if "\\x00" in pattern:
            return "This must not hold control characters."
        return f"This must match {pattern}."
    return f"{detail['msg'].rstrip('.')}."


def _shown(step: Any) -> str:
    text = str(step)
    return (
        text
        if text.isprintable() and len(text) <= _MAX_SHOWN
        else ascii(text[:_MAX_SHOWN])
    )

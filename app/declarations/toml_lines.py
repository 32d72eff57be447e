"""Line numbers of the keys of a TOML file, for error messages."""

import re
import tomllib
from collections.abc import Iterator, Sequence

_HEADER = re.compile(r"\s*\[{1,2}([^\[\]]+)\]{1,2}\s*(?:#.*)?")
_KEY = re.compile(r"""\s*((?:[A-Za-z0-9_\-]+|"[^"]*"|'[^']*'|\s*\.\s*)+?)\s*=""")
_QUOTES = re.compile("\"\"\"|'''")

Place = tuple[str, ...]


def find_line(text: str, place: Sequence[object]) -> int:
    """The line of the innermost part of a place that the file names; 1 at worst.

    Args:
        text: a TOML document that can be parsed.
        place: keys, and indexes of lists, from the outermost on.
    """
    keys = tuple(str(step) for step in place)
    best, line = 0, 1
    for number, found in _keys(text):
        depth = len(found)
        if best < depth <= len(keys) and keys[:depth] == found:
            best, line = depth, number
    return line


def _keys(text: str) -> Iterator[tuple[int, Place]]:
    """Each key and table header with its line; lines of long strings are skipped."""
    table: Place = ()
    closing: str | None = None
    for number, line in enumerate(text.split("\n"), start=1):
        if closing is not None:
            closing = None if closing in line else closing
            continue
        header = _HEADER.fullmatch(line)
        if header is not None:
            table = _path(header[1])
            yield number, table
            continue
        key = _KEY.match(line)
        if key is None:
            continue
        yield number, (*table, *_path(key[1]))
        opening = _QUOTES.search(line, key.end())
        if opening is not None and line.count(opening[0]) % 2:
            closing = opening[0]


def _path(key: str) -> Place:
    """The parts of a dotted key, read by the TOML parser itself."""
    try:
        value: object = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        return ()
    parts = []
    while isinstance(value, dict):
        [(part, value)] = value.items()
        parts.append(part)
    return tuple(parts)

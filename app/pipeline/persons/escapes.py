r"""Decoding of escaped text: JSON inside JSON, URLs and HTML.

Senders nest escapes, and escape characters that need none: `%7aoe@x.example` and
`\u007aoe@x.example` are the same address.
"""

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

# Each level reads all of a text again. Nobody nests escapes as deep.
_MAX_LEVELS = 8
_HEX = "[0-9A-Fa-f]"
_NEXT = f"%[89ABab]{_HEX}"
_HIGH, _LOW = f"u[Dd][89ABab]{_HEX}{{2}}", f"u[Dd][C-Fc-f]{_HEX}{{2}}"
# Each match stands for one character.
_JSON = rf'\\{_HIGH}\\{_LOW}|\\u{_HEX}{{4}}|\\["\\/bfnrt]'
_URL = (
    rf"%{_HIGH}%{_LOW}|%u{_HEX}{{4}}|%[CDcd]{_HEX}{_NEXT}|%[Ee]{_HEX}(?:{_NEXT}){{2}}"
    rf"|%[Ff][0-7](?:{_NEXT}){{3}}|%{_HEX}{{2}}"
)
_HTML = rf"&#\d{{1,7}};|&#[Xx]{_HEX}{{1,6}};|&(?:amp|lt|gt|quot|apos);"
# A text may hold one kind literally inside another, or mix them.
_KINDS = tuple(map(re.compile, (_JSON, f"{_URL}|{_HTML}", f"{_JSON}|{_URL}|{_HTML}")))
_MAYBE_ESCAPED = re.compile(r"[\\%&]")
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_UNKNOWN = "\ufffd"

# As a regular expression of Postgres, on lower case: texts in which an ASCII letter or
# digit is escaped, which all others show as they are.
ESCAPED_WORD = (
    r"\\u|%(25)*(5c)?u|%(25)*(3[0-9]|[46][1-9a-f]|[57][0-9a])"
    r"|(&|%(25)*26)(amp(;|%(25)*3b))*(#|%(25)*23)"
)
# The part of an escape that is left where a text was cut.
PART_OF_ESCAPE = re.compile(
    rf"(?:[\x80-\xff]{{0,3}}|[\ud800-\udbff])"
    rf"(?:[\\%]u{_HEX}{{0,3}}|\\+|%{_HEX}?|&#?[0-9A-Za-z]{{0,7}})?\Z"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A text, decoded some number of times.

    Attributes:
        text: the decoded text.
        steps: the texts before each decoding, and which escapes were decoded.
    """

    text: str
    steps: tuple[tuple[str, re.Pattern[str]], ...] = ()

    def source(self, positions: Sequence[int]) -> Sequence[int]:
        """The places in the original text of places in this one, both ascending."""
        for text, kind in reversed(self.steps):
            positions = _positions_before(text, kind, positions)
        return positions


def readings(text: str) -> Iterator[Reading]:
    """The text as it is, and decoded once, twice and so on."""
    yield Reading(text)
    if not _MAYBE_ESCAPED.search(text):
        return
    seen = {text}
    for kind in _KINDS:
        reading = Reading(text)
        for _ in range(_MAX_LEVELS):
            decoded = kind.sub(_decode, reading.text)
            if decoded == reading.text:
                break
            reading = Reading(decoded, (*reading.steps, (reading.text, kind)))
            if decoded not in seen:
                seen.add(decoded)
                yield reading


def _decode(escape: re.Match[str]) -> str:
    written = escape[0]
    if written[0] == "&":
        return html.unescape(written)[:1] or _UNKNOWN
    if written[1] == "u":
        units = bytes.fromhex(re.sub(r"[\\%]u", "", written))
        return units.decode("utf-16-be", "surrogatepass")
    if written[0] == "\\":
        return _LETTERS.get(written[1], written[1])
    encoded = bytes.fromhex(written.replace("%", ""))
    if len(encoded) == 1:
        return encoded.decode("latin-1")
    decoded = encoded.decode("utf-8", "replace")
    return decoded if len(decoded) == 1 else _UNKNOWN


def _positions_before(
    text: str, kind: re.Pattern[str], positions: Iterable[int]
) -> list[int]:
    """Where the characters of a decoded text stand in the text before."""
    escapes = kind.finditer(text)
    escape = next(escapes, None)
    shift = 0
    before = []
    for position in positions:
        while escape is not None and escape.start() - shift < position:
            shift += len(escape[0]) - 1
            escape = next(escapes, None)
        before.append(position + shift)
    return before

r"""Quick exclusion of bytes without a trace of a person, ahead of the full search.

An ASCII letter or digit of a trace stands in the bytes as it is, unless it is escaped.
So bytes without an escaped letter or digit, and without the letters and digits of any
name in their order, hold no trace. Between them stand the other characters of the name,
as they are or escaped.
"""

import re
import string
from collections.abc import Callable, Iterable
from itertools import pairwise

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_HEX = "[0-9a-f]"
_WORD = re.compile("[0-9a-z]+")
_IN_WORD, _NO_WORD = "[0-9a-z]", "[^0-9a-z]"
# Codes of ASCII letters and digits. All of it is in lower case.
_LETTER = "3[0-9]|[46][1-9a-f]|[57][0-9a]"
# Characters beyond ASCII that are letters of ASCII when they are normalised or when
# case is ignored, such as the sign of kelvin.
_LOOKALIKE = "00df|0130|0149|017f|01f0|1e9[6-9ae]|212a|fb0[0-6]"
# The characters that make an escape may be escaped themselves: # % & ; and backslash.
_UTF_16 = rf"u(?:00(?:2[356]|3b|5c|{_LETTER})|{_LOOKALIKE})"
# But for the commonest harmless ones, such as &#39;, which is an apostrophe.
_NUMBER = (
    "(?:amp(?:;|%(?:25)*3b))*(?:#|%(?:25)*23)(?!(?:3[49]|4[57]|6[02]|x2[27f]|x3[ce]);)"
)
_ESCAPED_IN_JSON = re.compile(rf"\\{_UTF_16}".encode())
_ESCAPED = re.compile(
    rf"[%&](?:(?<=%)(?:25)*(?:{_LETTER}|(?:5c)?{_UTF_16}|26{_NUMBER})"
    rf"|(?<=&){_NUMBER})".encode()
)
# Eight times within JSON, a quotation mark follows 255 backslashes.
_MAX_ESCAPED = 512

Sieve = Callable[[bytes], bool]


def make_sieve(names: Iterable[str], *, has_exponent: bool) -> Sieve:
    """A function of bytes; where it is false, there is no trace.

    Args:
        names: in each form that is not only an escape: normalised and as given.
        has_exponent: whether a number with an exponent may be a name.
    """
    patterns = [_patterns(name.translate(_LOWER)) for name in names]

    def may_hold(content: bytes) -> bool:
        lower = content.lower()
        return (
            any(_has_all(lower, each) for each in patterns)
            or _ESCAPED_IN_JSON.search(lower) is not None
            or _ESCAPED.search(lower) is not None
            or (has_exponent and b"e+" in lower)
        )

    return may_hold


def _has_all(content: bytes, patterns: list[re.Pattern[bytes]]) -> bool:
    return all(pattern.search(content) for pattern in patterns)


def _patterns(name: str) -> list[re.Pattern[bytes]]:
    """Each is in bytes that hold the name in lower case, with no letter escaped."""
    words = [*_WORD.finditer(name)]
    if not name.isascii():
        # Characters beyond ASCII may be written as letters: SS.
        return [re.compile(word[0].encode()) for word in words]
    if len(words) == 1:
        return [re.compile(_alone(words[0][0]).encode())]
    return [
        re.compile(
            f"{first[0]}{_gap(name[first.end() : second.start()])}"
            f"{second[0]}(?!{_IN_WORD})".encode(),
            re.DOTALL,
        )
        for first, second in pairwise(words)
    ]


def _alone(word: str) -> str:
    """The word, and no letter or digit next to it that is not part of an escape."""
    before = (
        f"(?<!{_IN_WORD}{word})",
        rf"(?<=\\[bfnrt]{word})",
        f"(?<=5c[bfnrt]{word})",
        f"(?<=%{_HEX}{{2}}{word})",
        f"(?<=25{_HEX}{{2}}{word})",
        f"(?<=u{_HEX}{{4}}{word})",
    )
    return f"{word}(?!{_IN_WORD})(?:{'|'.join(before)})"


def _gap(text: str) -> str:
    """Characters between two words, as they are or partly escaped."""
    literal = re.escape(text).replace(r"\ ", "[ +]")
    escape = rf"{_NO_WORD}{{0,{len(text) - 1}}}[\\%&]"
    return rf"(?:{literal}|(?={escape}).{{1,{_MAX_ESCAPED * len(text)}}}?)"

"""Decodes JSON: with the fast parser where it is exact, else with the exact one.

orjson reads integers beyond 64 bits and decimals of more than 15 digits as the nearest
double, and refuses NaN, Infinity and lone surrogates. The standard library reads all
of them, but slowly. The fast parser decides only over bodies whose every number it
reads exactly. A body that it refuses is read again by the exact parser, which accepts
it or says what is wrong.
"""

import json
import math
import re
import sys
from codecs import BOM_UTF8
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import chain
from typing import Any

import orjson
from typing_extensions import override

from app.request_errors import InvalidJsonError

MAX_INTEGER_DIGITS = 1_000
MAX_BODY_DEPTH = 1_000

# Postgres holds this many digits after the point of a numeric.
_MAX_SCALE = 16_383
# A smaller decimal would be stored with more zeros than an integer may have digits.
_MIN_EXPONENT = -MAX_INTEGER_DIGITS

# Digits and points become "0": a run of 16 may be a decimal of over 15 digits, which a
# double may not hold, or an integer beyond 64 bits. A negative exponent of three digits
# may be below the range in which doubles have 15 digits. The beginning of a container
# becomes "[".
_CLASSES = bytes(
    ord("0")
    if byte in b"0123456789."
    else ord("[")
    if byte in b"[{"
    else ord("e")
    if byte in b"eE"
    else ord("-")
    if byte == ord("-")
    else ord(" ")
    for byte in range(256)
)
_BACKSLASH = ord("\\")
_LONG_NUMBER = b"0" * 16
_LONG_RUN = re.compile(_LONG_NUMBER + b"0*")
_SMALL_EXPONENT = re.compile(b"e-000")
# Also matches a number inside a text, if it follows white space or punctuation.
_NUMBER = re.compile(rb"(?<![\w.+\-\"])-?\d[\d.]*(?:[eE][+-]?\d+)?")
# A decimal of so many characters has at most 15 digits, which a double always holds.
_MAX_EXACT_CHARACTERS = 16
_LONGEST_TRIED = 400
# A body with more long numbers is left to the exact parser, which takes less time.
_MOST_TRIED = 1_000
# The integers that the fast parser and the fast encoder hold.
FAST_INTEGERS = range(-(2**63), 2**64)
# The marks that are counted to count the values of a body.
_MARKS = b'",[{'
_REST = bytes(set(range(256)) - set(_MARKS))
_STEP = 64 * 1024
_RECURSION_LIMIT = MAX_BODY_DEPTH + 1_000
_TOO_DEEP = f"The body is nested deeper than {MAX_BODY_DEPTH} levels."


@dataclass(frozen=True, slots=True)
class OutOfRangeNumber:
    """A number beyond the range of a double, or an integer of over 1,000 digits."""

    text: str

    @override
    def __str__(self) -> str:
        return self.text


@dataclass(slots=True)  # made in half the time of a named tuple
class Decoded:
    """A decoded body.

    Attributes:
        value: dict, list, str, int, float, bool or None; where `plain` is false
            also NaN, infinities, NULs, lone surrogates, integers of any size,
            decimals that no double holds as `Decimal`, and `OutOfRangeNumber`.
        plain: whether all of `value` can be stored as it is.
        deep: whether it has more containers than an event may have levels.
    """

    value: Any
    plain: bool
    deep: bool


def allow_deep_bodies() -> None:
    """Raise the interpreter's recursion limit; call it once at the start of a process.

    The exact parser calls itself for each level, and Python 3.11 counts that with the
    calls that lead to it. Without it, bodies of fewer levels are refused as too deep.
    """
    sys.setrecursionlimit(max(sys.getrecursionlimit(), _RECURSION_LIMIT))


def decode(body: bytes, *, max_depth: int) -> Decoded:
    """Read a body as JSON (RFC 8259), extended by NaN and Infinity.

    Args:
        body: UTF-8; a leading byte order mark is skipped.
        max_depth: the depth that an event may have.

    Raises:
        InvalidJsonError: with line and column, or for over 1,000 levels.
    """
    body = body.removeprefix(BOM_UTF8)
    classes = body.translate(_CLASSES)
    # A number is found in a tenth of the time of a text of one byte.
    has_nul = _BACKSLASH in body and b"\\u0000" in body
    plain = not has_nul and not _has_inexact_number(body, classes)
    value: Any = None
    if plain:
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            plain = False
    if not plain:
        value = _decode_exactly(body)
    # Fewer containers than the limit cannot be nested deeper than it.
    containers = classes.count(b"[")
    if containers > MAX_BODY_DEPTH and depth_of(value) >= MAX_BODY_DEPTH:
        raise InvalidJsonError(_TOO_DEEP)
    return Decoded(value, plain, containers > max_depth)


def has_more_values(body: bytes, limit: int) -> bool:
    """Whether a body holds more values than this, counted before it is decoded.

    Each of them takes up to 100 bytes once it is decoded, however short it was.
    """
    # Each value but the first is led by one of these; an empty container has one, too.
    if len(body) <= limit or sum(map(body.count, (b",", b"[", b"{"))) <= limit:
        return False
    return _separators(body) > limit


def depth_of(value: object) -> int:
    """How many containers enclose the innermost one below `value`.

    0 for a container that holds none. Stops at `MAX_BODY_DEPTH`.
    """
    depth = -1
    level: list[Any] = [value]
    while level and depth < MAX_BODY_DEPTH:
        depth += 1
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
    return depth


def _has_inexact_number(body: bytes, classes: bytes) -> bool:
    """Whether the fast parser would read some number as another one."""
    # A regular expression finds the exponent in half the time that `find` takes.
    if _SMALL_EXPONENT.search(classes) is None and _LONG_NUMBER not in classes:
        return False
    places = chain(_LONG_RUN.finditer(classes), _SMALL_EXPONENT.finditer(classes))
    for tried, found in enumerate(places):
        at = found.start()
        before = classes[max(at - _LONGEST_TRIED, 0) : at]
        start = at - len(before) + len(before.rstrip(b"0"))
        if body[start - 1 : start] == b"-":
            start -= 1
        number = _NUMBER.match(body, start)
        if (number and not _is_exact(number[0])) or tried == _MOST_TRIED:
            return True
    return False


def _is_exact(number: bytes) -> bool:
    """Whether the fast parser reads this number as exactly what it says."""
    if len(number) > _LONGEST_TRIED:
        return False
    text = number.decode()
    if text.lstrip("-").isdigit():
        return int(text) in FAST_INTEGERS
    try:
        return Decimal(repr(float(text))) == Decimal(text)
    except InvalidOperation:  # an exponent of more than 18 digits
        return False
    except ValueError:  # part of a text
        return True


def _separators(body: bytes) -> int:
    """As many as stand outside of texts; piece by piece, to hold little memory."""
    marks = body.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _REST)
    count = inside = 0
    for start in range(0, len(marks), _STEP):
        pieces = marks[start : start + _STEP].split(b'"')
        count += sum(map(len, pieces[inside::2]))
        inside ^= (len(pieces) - 1) & 1
    return count


def _decode_exactly(body: bytes) -> Any:
    try:
        return _EXACT.decode(body.decode())
    except UnicodeDecodeError as error:
        raise InvalidJsonError(_place("not UTF-8", body, error.start)) from None
    except json.JSONDecodeError as error:
        raise InvalidJsonError(
            f"{error.msg.removesuffix(' at')} at line {error.lineno}, "
            f"column {error.colno}."
        ) from None
    except RecursionError:
        raise InvalidJsonError(_TOO_DEEP) from None


def _place(what: str, body: bytes, at: int) -> str:
    before = body[:at].decode()
    line = before.count("\n") + 1
    column = len(before) - before.rfind("\n")
    return f"The body is {what} at line {line}, column {column}."


def _integer(text: str) -> int | OutOfRangeNumber:
    digits = len(text) - text.startswith("-")
    return int(text) if digits <= MAX_INTEGER_DIGITS else OutOfRangeNumber(text)


def _fraction(text: str) -> float | Decimal | OutOfRangeNumber:
    """The double that says exactly the same, else a decimal."""
    value = float(text)
    if len(text) <= _MAX_EXACT_CHARACTERS and "e" not in text and "E" not in text:
        return value
    if not math.isfinite(value):
        return OutOfRangeNumber(text)
    try:
        exact = Decimal(text)
    except InvalidOperation:  # an exponent of more than 18 digits
        return OutOfRangeNumber(text)
    if Decimal(repr(value)) == exact:
        return value
    exponent = exact.as_tuple().exponent
    is_too_long = isinstance(exponent, int) and -exponent > _MAX_SCALE
    if is_too_long or exact.adjusted() < _MIN_EXPONENT:
        return OutOfRangeNumber(text)
    return exact


_EXACT = json.JSONDecoder(parse_int=_integer, parse_float=_fraction)

"""Bytes to JSON values: by the fast parser where it is right, else exactly.

orjson reads integers beyond 64 bits as floats and refuses NaN, Infinity and lone
surrogates; the standard library reads all of them but takes `1e400` for infinity.
So the fast one decides only over bodies in which none of this can occur, and what
it refuses is read again by the exact one, which accepts or explains.
"""

import json
import math
import sys
from codecs import BOM_UTF8
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from typing_extensions import override

from app.errors import InvalidJsonError

MAX_INTEGER_DIGITS = 1_000
MAX_BODY_DEPTH = 1_000

# The shortest run of digits that may not fit 64 bits; a fraction or an id made of
# digits may match too, which costs time and nothing else.
_LONG_DIGITS = b"0" * 19
_DIGITS_TO_ZERO = bytes(
    ord("0") if ord("0") <= byte <= ord("9") else ord(".") for byte in range(256)
)
# What is left of a body to count its values.
_MARKS = b'",[{'
_REST = bytes(set(range(256)) - set(_MARKS))
_STEP = 64 * 1024
# The exact parser calls itself for each level, and Python counts that with the calls
# that lead to it (in 3.11; from 3.12 on it counts them apart).
_RECURSION = MAX_BODY_DEPTH + 1_000
_TOO_DEEP = f"The body is nested deeper than {MAX_BODY_DEPTH} levels."


@dataclass(frozen=True, slots=True)
class OutOfRangeNumber:
    """A number that is no finite double, or an integer of over 1,000 digits."""

    text: str

    @override
    def __str__(self) -> str:
        return self.text


class Decoded(NamedTuple):
    """A decoded body.

    Attributes:
        value: dict, list, str, int, float, bool or None; where `plain` is false
            also NaN, infinities, NULs, lone surrogates, integers of any size and
            `OutOfRangeNumber`.
        plain: whether all of `value` can be stored as it is.
        deep: whether some event in it may be deeper than an event may be.
    """

    value: Any
    plain: bool
    deep: bool


def decode(body: bytes, *, max_depth: int) -> Decoded:
    """Read a body as JSON (RFC 8259), with NaN and Infinity beside it.

    Args:
        body: UTF-8, without a byte order mark.
        max_depth: the depth that an event may have.

    Raises:
        InvalidJsonError: with line and column, or for over 1,000 levels.
    """
    plain = b"\\u0000" not in body and _LONG_DIGITS not in body.translate(
        _DIGITS_TO_ZERO
    )
    value: Any = None
    if plain:
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            plain = False
    if not plain:
        value = _decode_exactly(body)
    # Fewer containers than the limit cannot be nested deeper than it.
    deep = body.count(b"[") + body.count(b"{") > max_depth
    if deep:
        depth = depth_of(value)
        if depth >= MAX_BODY_DEPTH:
            raise InvalidJsonError(_TOO_DEEP)
        deep = depth > max_depth
    return Decoded(value, plain=plain, deep=deep)


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
    if sys.getrecursionlimit() < _RECURSION:
        sys.setrecursionlimit(_RECURSION)
    if body.startswith(BOM_UTF8):  # RFC 8259 section 8.1
        raise InvalidJsonError(_place("led by a byte order mark", body, 0))
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


def _fraction(text: str) -> float | OutOfRangeNumber:
    value = float(text)
    return value if math.isfinite(value) else OutOfRangeNumber(text)


_EXACT = json.JSONDecoder(parse_int=_integer, parse_float=_fraction)

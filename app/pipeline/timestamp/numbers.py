"""Timestamps that are sent as numbers, or as text of digits."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import isfinite

import orjson

from app.pipeline.issues import WarningCode
from app.pipeline.timestamp.parts import (
    CUT,
    EXPECTED,
    TimestampError,
    TimestampWarning,
    invalid,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Number = int | float | Decimal

# From 2001-09-09 to 2286-11-20, the numbers of each unit have a count of digits that no
# other unit's have. Every other number is a day count, a formatted date, a missing
# value, or its unit is in doubt. The size of a unit is in microseconds.
_UNITS = (
    (10**9, Fraction(10**6), "seconds"),
    (10**12, Fraction(10**3), "milliseconds"),
    (10**15, Fraction(1), "microseconds"),
    (10**18, Fraction(1, 10**3), "nanoseconds"),
)
_DIGITS = re.compile(r"[1-9]\d{9}|[1-9]\d{12}|[1-9]\d{15}|[1-9]\d{18}", re.ASCII)
_NUMERIC = re.compile(r"-?\d{1,30}(?:\.\d{1,30})?", re.ASCII)

_BASIC_DATE = re.compile(r"\d{8}", re.ASCII)
_EXPECTED_NUMBER = (
    "Expected ISO 8601 text, or a number from 2001-09-09 on of 10 digits (seconds), "
    "13 (milliseconds), 16 (microseconds) or 19 (nanoseconds)."
)

_DAY = 86_400 * 10**6
_EXCEL_EPOCH = datetime(1899, 12, 30, tzinfo=UTC)
_APPLE_EPOCH = datetime(2001, 1, 1, tzinfo=UTC)
_LAST_DAY_NUMBER = 100_000  # the year 2243 since 1970, 2173 in Excel
_APPLE_SECONDS = range(10**8, 10**9)
_LONGEST_FORMATTED = 10**14


def read_digits(sent: str) -> tuple[datetime, tuple[TimestampWarning, ...]] | None:
    """Read text of 10, 13, 16 or 19 digits; None for any other text.

    Raises:
        TimestampError: the text is another number, but no date of eight digits.
    """
    if _DIGITS.fullmatch(sent):
        return read_number(int(sent))
    if _NUMERIC.fullmatch(sent) and not _BASIC_DATE.fullmatch(sent):
        raise _in_doubt(Fraction(sent))
    return None


def read_number(sent: Number) -> tuple[datetime, tuple[TimestampWarning, ...]]:
    """Read a number of seconds, milliseconds, microseconds or nanoseconds since 1970.

    Raises:
        TimestampError: the number has no certain unit.
    """
    if isinstance(sent, float) and not isfinite(sent):
        raise invalid(EXPECTED)
    # repr gives the shortest decimal that names the float, which is the one sent.
    number = Fraction(repr(sent) if isinstance(sent, float) else sent)
    for first, microseconds, unit in _UNITS:
        if first <= number < 10 * first:
            # Floor division cuts, as the digits of a text are cut.
            whole, rest = divmod(number * microseconds, 1)
            assumed = (
                WarningCode.EPOCH_NUMBER,
                f"The number was read as {unit} since 1970.",
            )
            warnings = (assumed, CUT) if rest else (assumed,)
            return EPOCH + timedelta(microseconds=whole), warnings
    raise _in_doubt(number)


def _in_doubt(number: Fraction) -> TimestampError:
    readings = [f"{instant} as {unit}" for instant, unit in _readings(number)]
    understood = (
        f"A number was understood: {', '.join(readings)}."
        if readings
        else "A number was understood that is a date in no unit."
    )
    if number == 0:
        understood += " Zero often stands for a missing value."
    return invalid(f"{understood} {_EXPECTED_NUMBER}")


def _readings(number: Fraction) -> Iterator[tuple[str, str]]:
    """The instant for each unit that the number may have been meant in."""
    for _, microseconds, unit in _UNITS:
        yield from _counted(EPOCH, number * microseconds, f"{unit} since 1970")
    if 1 <= number < _LAST_DAY_NUMBER:
        yield from _counted(EPOCH, number * _DAY, "days since 1970")
        yield from _counted(_EXCEL_EPOCH, number * _DAY, "an Excel day number")
    if int(number) in _APPLE_SECONDS:
        yield from _counted(_APPLE_EPOCH, number * 10**6, "seconds since 2001")
    if number.denominator == 1 and 0 < number < _LONGEST_FORMATTED:
        yield from _formatted(str(number.numerator))


def _counted(
    epoch: datetime, microseconds: Fraction, unit: str
) -> Iterator[tuple[str, str]]:
    try:
        instant = epoch + timedelta(microseconds=microseconds // 1)
    except OverflowError:  # outside the years 0001 to 9999
        return
    text = orjson.dumps(instant, option=orjson.OPT_UTC_Z).decode().strip('"')
    yield text, unit


def _formatted(digits: str) -> Iterator[tuple[str, str]]:
    """The same digits as a formatted date."""
    for form, layout in (
        ("%Y%m%d", "YYYYMMDD"),
        ("%Y%m%d%H%M", "YYYYMMDDhhmm"),
        ("%Y%m%d%H%M%S", "YYYYMMDDhhmmss"),
    ):
        if len(digits) == len(layout):
            try:
                date = datetime.strptime(digits, form).replace(tzinfo=UTC)
            except ValueError:
                return
            yield date.isoformat().removesuffix("+00:00"), layout

"""The parts of a timestamp, and the instant that they name."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from app.pipeline.issues import ErrorCode, WarningCode

TimestampWarning = tuple[WarningCode, str]  # code and message

OFFSET = r"[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?"

EXPECTED = (
    "Expected an ISO-8601 date and time such as 2023-11-02T00:30:08.276Z, "
    "or a number of seconds or milliseconds since 1970."
)
CUT = (
    WarningCode.PRECISION_CUT,
    "Digits beyond microseconds were cut off, not rounded.",
)

_CYCLE = timedelta(days=146_097)  # 400 years, after which the calendar repeats
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_NO_SUCH_DAY = (
    "A date was understood, but the calendar has no such day. "
    "Expected a day that exists."
)
_NOT_MIDNIGHT = (
    "The hour 24 was understood, which ends a day. Expected only zeros after it."
)
_NO_LEAP_SECOND = (
    "Second 60 was understood. Expected it only at 23:59:60 UTC on the last day of "
    "a month, where a leap second can be."
)
_OTHER_WEEKDAY = (
    "A date and its weekday were understood, but they do not match. "
    "Expected the weekday of that date, or ISO 8601."
)
_NO_OFFSET = (WarningCode.OFFSET_ASSUMED_UTC, "Without an offset, UTC was assumed.")
_NO_TIME = (
    WarningCode.TIME_ASSUMED_MIDNIGHT,
    "Without a time, midnight UTC was assumed.",
)
_LEAP = (WarningCode.LEAP_SECOND, "Second 60 was read as the following second.")


class TimestampError(ValueError):
    """The value cannot be read as one certain instant.

    Args:
        code: part of the wire contract.
        message: the part that was understood and the form that was expected.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Parts(NamedTuple):
    """The digits as sent; an absent part is empty.

    Attributes:
        offset: "", "Z", "z", "UTC", "GMT" or a signed `hh`, `hhmm` or `hh:mm`.
        weekday: its first three letters, where the text has one.
    """

    year: str
    month: str
    day: str
    hour: str
    minute: str
    second: str
    fraction: str = ""
    offset: str = ""
    weekday: str = ""


def invalid(message: str) -> TimestampError:
    """The error for a text without one certain reading."""
    return TimestampError(ErrorCode.INVALID_TIMESTAMP, message)


def assemble(parts: Parts) -> datetime:
    """The instant that the parts name, in UTC.

    Raises:
        TimestampError: the calendar has no such day, or the clock no such time.
        OverflowError: the instant is outside the years 0001 to 9999.
    """
    year = int(parts.year)
    try:
        # The same year of the 400-year cycle that holds 2000: nothing overflows
        # there, so a day that does not exist differs from one out of range.
        midnight = datetime(
            2000 + year % 400, int(parts.month), int(parts.day), tzinfo=UTC
        )
    except ValueError:
        raise invalid(_NO_SUCH_DAY) from None
    if parts.weekday and parts.weekday != _WEEKDAYS[midnight.weekday()]:
        raise invalid(_OTHER_WEEKDAY)
    if parts.hour == "24" and any(map(_is_not_zero, parts[4:7])):
        raise invalid(_NOT_MIDNIGHT)
    # Counting from midnight gives 24:00 and :60 their meaning without special cases.
    instant = midnight + _clock(parts) - offset_of(parts.offset)
    starts_month = (instant.day, instant.hour, instant.minute) == (1, 0, 0)
    if parts.second == "60" and not starts_month:
        raise invalid(_NO_LEAP_SECOND)
    if year == 0:
        raise OverflowError
    return instant + _CYCLE * (year // 400 - 5)


def warnings_of(parts: Parts) -> Iterator[TimestampWarning]:
    """The assumptions made in reading the parts."""
    if not parts.hour:
        yield _NO_TIME
    elif not parts.offset:
        yield _NO_OFFSET
    if parts.second == "60":
        yield _LEAP
    if _is_not_zero(parts.fraction[6:]):
        yield CUT


def offset_of(text: str) -> timedelta:
    """The distance east of UTC that an offset names."""
    if not re.match("[+-]", text):
        return timedelta()
    size = timedelta(hours=int(text[1:3]), minutes=int(text[3:].lstrip(":") or 0))
    return size if text[0] == "+" else -size


def _clock(parts: Parts) -> timedelta:
    return timedelta(
        hours=int(parts.hour or 0),
        minutes=int(parts.minute or 0),
        seconds=int(parts.second or 0),
        microseconds=int(parts.fraction[:6].ljust(6, "0")),
    )


def _is_not_zero(digits: str) -> bool:
    return digits.strip("0") != ""

"""The grammar of timestamps that are sent as text.

It is spelt out here because every ready-made parser that was tried (Pydantic's,
`datetime.fromisoformat` alone, Postgres's text cast) takes some invalid text for a
wrong instant. `docs/timestamps.md` says the same to senders.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

TwoDigitYear = Literal["ymd", "dmy", "reject"]
TimestampCode = Literal["invalid_timestamp", "timestamp_out_of_range"]
TimestampWarning = tuple[str, str]  # code and message

MAX_TEXT = 1000  # characters; "any number" of fraction digits ends here

_CYCLE = timedelta(days=146_097)  # 400 years, after which the calendar repeats

_OFFSET = r"[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?"
_HOUR, _MINUTE, _SECOND = r"([01]\d|2[0-4])", r"([0-5]\d)", r"([0-5]\d|60)"
# All three have the same eight groups: year, month, day, hour, minute, second,
# fraction, offset; where the year has two digits, the date's order is still open.
_EXTENDED = re.compile(
    rf"(\d{{4}})-(\d\d)-(\d\d)(?:[Tt ]{_HOUR}:{_MINUTE}"
    rf"(?::{_SECOND}(?:[.,](\d+))?)?([Zz]|{_OFFSET})?)?",
    re.ASCII,
)
_BASIC = re.compile(
    rf"(\d{{4}})(\d\d)(\d\d)(?:[Tt]{_HOUR}{_MINUTE}"
    rf"(?:{_SECOND}(?:[.,](\d+))?)?([Zz]|{_OFFSET})?)?",
    re.ASCII,
)
_TWO_DIGIT = re.compile(
    rf"(\d\d)-(\d\d)-(\d\d)T{_HOUR}:{_MINUTE}"
    rf"(?::{_SECOND}(?:\.(\d+))?)?(Z|{_OFFSET})?",
    re.ASCII,
)
# What nearly all senders send, and all that `fromisoformat` is trusted with: within
# this shape only a day that does not exist is left for it to refuse.
_COMMON = re.compile(
    r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?(?:Z|\+00:00)",
    re.ASCII,
)

EXPECTED = (
    "Expected an ISO-8601 date and time such as 2023-11-02T00:30:08.276Z, "
    "or a number of seconds or milliseconds since 1970."
)
_EXPECTED_DAY = "Expected a day that the calendar has."
_EXPECTED_MIDNIGHT = "Expected nothing but zeros after the hour 24."
_EXPECTED_LEAP = (
    "Expected second 60 only at 23:59:60 UTC on the last day of a month, "
    "where a leap second can be."
)
_EXPECTED_YEAR = "Expected a year of four digits, as in 2023-11-02T00:30:08.276Z."

CUT = ("precision_cut", "Digits beyond microseconds were cut off, not rounded.")
_NO_OFFSET = ("offset_assumed_utc", "Without an offset, UTC was assumed.")
_NO_TIME = ("time_assumed_midnight", "Without a time, midnight UTC was assumed.")
_LEAP = ("leap_second", "Second 60 was read as the second after it.")
_YEAR_FIRST = ("two_digit_year", "The date was read as year-month-day, in 20YY.")
_YEAR_LAST = ("two_digit_year", "The date was read as day-month-year, in 20YY.")


class TimestampError(ValueError):
    """What was sent cannot be taken for an instant.

    Args:
        code: part of the wire contract.
        message: what was expected; holds nothing of what was sent.
    """

    def __init__(self, code: TimestampCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class _Parts(NamedTuple):
    """Digits as they were sent; what is absent is empty."""

    year: str
    month: str
    day: str
    hour: str
    minute: str
    second: str
    fraction: str
    offset: str


def read_text(
    sent: str, *, two_digit_year: TwoDigitYear
) -> tuple[datetime, tuple[TimestampWarning, ...]]:
    """Read text of at most `MAX_TEXT` characters as an instant in UTC.

    Raises:
        TimestampError: `invalid_timestamp`; the text is none of the accepted forms.
        OverflowError: a well-formed instant outside the years 0001 to 9999.
    """
    if _COMMON.fullmatch(sent):
        try:
            return datetime.fromisoformat(sent), ()
        except ValueError:  # no such day, or the year 0000: told apart below
            pass
    if len(sent) > MAX_TEXT:
        raise _invalid(EXPECTED)
    if match := _EXTENDED.fullmatch(sent) or _BASIC.fullmatch(sent):
        parts = _Parts(*match.groups(""))
        return _assemble(parts), tuple(_warn(parts))
    if match := _TWO_DIGIT.fullmatch(sent):
        parts, warning = _order(_Parts(*match.groups("")), two_digit_year)
        return _assemble(parts), (warning, *_warn(parts))
    raise _invalid(EXPECTED)


def _invalid(message: str) -> TimestampError:
    return TimestampError("invalid_timestamp", message)


def _order(parts: _Parts, order: TwoDigitYear) -> tuple[_Parts, TimestampWarning]:
    match order:
        case "ymd":
            return parts._replace(year="20" + parts.year), _YEAR_FIRST
        case "dmy":
            return parts._replace(year="20" + parts.day, day=parts.year), _YEAR_LAST
        case "reject":
            raise _invalid(_EXPECTED_YEAR)


def _assemble(parts: _Parts) -> datetime:
    year = int(parts.year)
    try:
        # Nothing overflows in the same year of this cycle: what is no instant at all
        # is told apart from what no datetime can hold.
        midnight = datetime(
            2000 + year % 400, int(parts.month), int(parts.day), tzinfo=UTC
        )
    except ValueError:
        raise _invalid(_EXPECTED_DAY) from None
    if parts.hour == "24" and any(map(_is_not_zero, parts[4:7])):
        raise _invalid(_EXPECTED_MIDNIGHT)
    # Counting from midnight gives 24:00 and :60 their meaning without a case for each.
    instant = midnight + _clock(parts) - _offset(parts.offset)
    starts_month = (instant.day, instant.hour, instant.minute) == (1, 0, 0)
    if parts.second == "60" and not starts_month:
        raise _invalid(_EXPECTED_LEAP)
    if year == 0:
        raise OverflowError
    return instant + _CYCLE * (year // 400 - 5)


def _clock(parts: _Parts) -> timedelta:
    return timedelta(
        hours=int(parts.hour or 0),
        minutes=int(parts.minute or 0),
        seconds=int(parts.second or 0),
        microseconds=int(parts.fraction[:6].ljust(6, "0")),
    )


def _offset(text: str) -> timedelta:
    if text in {"", "Z", "z"}:
        return timedelta()
    size = timedelta(hours=int(text[1:3]), minutes=int(text[3:].lstrip(":") or 0))
    return size if text[0] == "+" else -size


def _is_not_zero(digits: str) -> bool:
    return digits.strip("0") != ""


def _warn(parts: _Parts) -> Iterator[TimestampWarning]:
    if not parts.hour:
        yield _NO_TIME
    elif not parts.offset:
        yield _NO_OFFSET
    if parts.second == "60":
        yield _LEAP
    if _is_not_zero(parts.fraction[6:]):
        yield CUT

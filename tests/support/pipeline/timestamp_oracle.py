"""A second reading of the timestamp grammar, to compare the first with.

It shares nothing with the code under test: a cursor walks over the characters, and
days are counted month by month, with neither `re` nor `datetime`.
"""

from typing import Literal

Verdict = int | Literal["invalid", "out_of_range"]

_DAY = 86_400_000_000
_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class RefusedError(Exception):
    pass


class Cursor:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def at_end(self) -> bool:
        return self.at == len(self.text)

    def sees(self, wanted: str) -> bool:
        return not self.at_end() and self.text[self.at] in wanted

    def take(self, wanted: str) -> str:
        if not self.sees(wanted):
            raise RefusedError
        self.at += 1
        return self.text[self.at - 1]

    def number(self, digits: int) -> int:
        value = 0
        for _ in range(digits):
            value = value * 10 + "0123456789".index(self.take("0123456789"))
        return value


def microseconds_of(text: str, *, order: str = "ymd") -> Verdict:
    """Microseconds since 1970, or why there are none."""
    if len(text) > 1000:
        return "invalid"
    if text and not text.strip("0123456789") and len(text) != len("YYYYMMDD"):
        return _epoch(text)
    try:
        return _read(Cursor(text), order)
    except RefusedError:
        return "invalid"


def _epoch(digits: str) -> Verdict:
    """Digits alone: each unit has a length of its own."""
    sizes = {10: 1_000_000_000, 13: 1_000_000, 16: 1_000, 19: 1}
    if digits[0] == "0" or len(digits) not in sizes:
        return "invalid"
    return int(digits) * sizes[len(digits)] // 1_000


def days_before(year: int, month: int, day: int) -> int:
    """Days from 0001-01-01 to this day."""
    lengths = list(_LENGTHS)
    if _is_leap(year):
        lengths[1] += 1
    if not (1 <= month <= 12 and 1 <= day <= lengths[month - 1]):
        raise RefusedError
    past = year - 1
    leap_days = past // 4 - past // 100 + past // 400
    return past * 365 + leap_days + sum(lengths[: month - 1]) + day - 1


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _read(cursor: Cursor, order: str) -> Verdict:
    text = cursor.text
    if text[4:5] == "-":
        dash, separators, colon, points, zulu = "-", "Tt ", ":", ".,", "Zz"
    elif text[2:3] == "-":
        dash, separators, colon, points, zulu = "-", "T", ":", ".", "Z"
    else:
        dash, separators, colon, points, zulu = "", "Tt", "", ".,", "Zz"
    short = text[2:3] == "-"
    year, month, day = _date(cursor, dash=dash, short=short, order=order)
    days = days_before(year, month, day)
    clock = offset = 0
    leap = False
    if short or not cursor.at_end():
        cursor.take(separators)
        clock, leap = _clock(cursor, colon=colon, points=points)
        offset = _offset(cursor, zulu, is_iso=not short)
    total = days * _DAY + clock - offset * 60_000_000
    if leap and not _opens_month(total // 60_000_000):
        raise RefusedError
    if year == 0 or not 0 <= total < days_before(9999, 12, 31) * _DAY + _DAY:
        return "out_of_range"
    return total - days_before(1970, 1, 1) * _DAY


def _date(
    cursor: Cursor, *, dash: str, short: bool, order: str
) -> tuple[int, int, int]:
    year = cursor.number(2 if short else 4)
    if dash:
        cursor.take(dash)
    month = cursor.number(2)
    if dash:
        cursor.take(dash)
    day = cursor.number(2)
    if not short:
        return year, month, day
    if order == "reject":
        raise RefusedError
    return (2000 + year, month, day) if order == "ymd" else (2000 + day, month, year)


def _clock(cursor: Cursor, *, colon: str, points: str) -> tuple[int, bool]:
    hour = cursor.number(2)
    if colon:
        cursor.take(colon)
    minute = cursor.number(2)
    second, fraction = 0, ""
    if cursor.sees(colon or "0123456789"):
        if colon:
            cursor.take(colon)
        second = cursor.number(2)
        if cursor.sees(points):
            cursor.take(points)
            fraction = cursor.take("0123456789")
            while cursor.sees("0123456789"):
                fraction += cursor.take("0123456789")
    if hour > 24 or minute > 59 or second > 60:
        raise RefusedError
    if hour == 24 and (minute, second, fraction.strip("0")) != (0, 0, ""):
        raise RefusedError
    micro = int((fraction + "000000")[:6])
    return ((hour * 60 + minute) * 60 + second) * 1_000_000 + micro, second == 60


def _offset(cursor: Cursor, zulu: str, *, is_iso: bool) -> int:
    """Minutes east of UTC; ISO forms may have a space before and a name after it."""
    if cursor.at_end():
        return 0
    if is_iso and cursor.sees(" "):
        cursor.take(" ")
        zulu = "Z"
    sign = cursor.take(zulu + "+-")
    minutes = 0 if sign in zulu else _minutes(cursor, sign)
    if is_iso and cursor.sees(" ") and sign not in zulu:
        cursor.take(" ")
        _label(cursor, minutes)
    if not cursor.at_end():
        raise RefusedError
    return minutes


def _minutes(cursor: Cursor, sign: str) -> int:
    hour = cursor.number(2)
    minute = 0
    if cursor.sees(":"):
        cursor.take(":")
        minute = cursor.number(2)
    elif cursor.sees("0123456789"):
        minute = cursor.number(2)
    if hour > 23 or minute > 59:
        raise RefusedError
    return (hour * 60 + minute) * (-1 if sign == "-" else 1)


def _label(cursor: Cursor, minutes: int) -> None:
    """A zone after the offset: letters, or the same offset once more."""
    if cursor.sees("+-"):
        sign = cursor.take("+-")
        again = cursor.number(2) * 60
        if not cursor.at_end():
            again += cursor.number(2)
        if (-again if sign == "-" else again) != minutes:
            raise RefusedError
        return
    capitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    name = cursor.take(capitals)
    while cursor.sees(capitals + capitals.lower()):
        name += cursor.take(capitals + capitals.lower())
    if not 2 <= len(name) <= 6 or (name in {"UTC", "GMT", "UCT"} and minutes):
        raise RefusedError


def _opens_month(minutes: int) -> bool:
    """Whether this minute since 0001-01-01 is the first of a month."""
    days, rest = divmod(minutes, 1440)
    year = days // 366 + 1
    while days_before(year + 1, 1, 1) <= days:
        year += 1
    starts = [days_before(year, month, 1) for month in range(1, 13)]
    return rest == 0 and days in starts

"""The grammar of timestamps that are sent as text.

Every ready-made parser that was tried (Pydantic's, `datetime.fromisoformat` alone,
Postgres's text cast) reads some invalid text as a wrong instant, so the grammar is
written out here. `docs/timestamps.md` documents it for senders.
"""

import re
from datetime import datetime

from app.pipeline.issues import WarningCode
from app.pipeline.timestamp.numbers import read_digits
from app.pipeline.timestamp.parts import (
    EXPECTED,
    OFFSET,
    Parts,
    TimestampWarning,
    assemble,
    invalid,
    offset_of,
    warnings_of,
)
from app.pipeline.timestamp.two_digit_year import TwoDigitYear, order_date

MAX_CHARACTERS = 1000  # characters; "any number" of fraction digits ends here

# The groups of all forms are named after the parts.
_YEAR, _MONTH, _DAY = r"(?P<year>\d{4})", r"(?P<month>\d\d)", r"(?P<day>\d\d)"
_HOUR, _MINUTE = r"(?P<hour>[01]\d|2[0-4])", r"(?P<minute>[0-5]\d)"
_SECOND, _FRACTION = r"(?P<second>[0-5]\d|60)", r"(?:[.,](?P<fraction>\d+))?"
_EXTENDED = re.compile(
    rf"{_YEAR}-{_MONTH}-{_DAY}(?:[Tt ]{_HOUR}:{_MINUTE}"
    rf"(?::{_SECOND}{_FRACTION})?(?P<offset>[Zz]|{OFFSET})?)?",
    re.ASCII,
)
_BASIC = re.compile(
    rf"{_YEAR}{_MONTH}{_DAY}(?:[Tt]{_HOUR}{_MINUTE}"
    rf"(?:{_SECOND}{_FRACTION})?(?P<offset>[Zz]|{OFFSET})?)?",
    re.ASCII,
)
# The order of the date is open: the policy decides it.
_TWO_DIGIT = re.compile(
    rf"(?P<year>\d\d)-{_MONTH}-{_DAY}T{_HOUR}:{_MINUTE}"
    rf"(?::{_SECOND}(?:\.(?P<fraction>\d+))?)?(?P<offset>Z|{OFFSET})?",
    re.ASCII,
)
# Forms with English month names and a four-digit year.
_MONTH_NAMES = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun",
    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip
_MONTHS = {name: f"{number:02}" for number, name in enumerate(_MONTH_NAMES, 1)}
_WEEKDAY = "(?P<weekday>Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_MONTH_NAME = f"(?P<month>{'|'.join(_MONTH_NAMES)})"
_HOUR_MINUTE = rf"(?P<hour>[01]\d|2[0-3]):{_MINUTE}"
_FOUR_DIGITS = r"[+-](?:[01]\d|2[0-3])[0-5]\d"
# A zone in parentheses repeats the offset in words, in any language.
_COMMENT = r"(?: \([^()\x00-\x1f]{1,100}\))?"
_NAMED = (
    # RFC 5322 section 3.3 and RFC 9110 section 5.6.7: mail and HTTP.
    re.compile(
        rf"(?:{_WEEKDAY}, )?(?P<day>\d\d?) {_MONTH_NAME} {_YEAR} {_HOUR_MINUTE}"
        rf"(?::{_SECOND})? (?P<offset>UTC|UT|GMT|{_FOUR_DIGITS}){_COMMENT}",
        re.ASCII,
    ),
    # JavaScript's Date#toString.
    re.compile(
        rf"{_WEEKDAY} {_MONTH_NAME} {_DAY} {_YEAR} {_HOUR_MINUTE}:{_SECOND} "
        rf"(?:GMT|UTC)(?P<offset>{_FOUR_DIGITS}){_COMMENT}",
        re.ASCII,
    ),
    # C's asctime, Java's Date#toString, Go's UnixDate and RubyDate.
    re.compile(
        rf"{_WEEKDAY} {_MONTH_NAME} (?P<day>\d\d| \d) {_HOUR_MINUTE}:{_SECOND}"
        rf"(?: (?P<offset>UTC|GMT|{OFFSET}))? {_YEAR}",
        re.ASCII,
    ),
)
# The form that nearly all senders use, and the only one that `fromisoformat` reads:
# within this shape it can refuse nothing but a day that does not exist.
_COMMON = re.compile(
    r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?(?:Z|\+00:00)",
    re.ASCII,
)
# The rest of the text after an ISO time: an offset after a space, then either the name
# of a zone as Go writes it, or the suffixes of RFC 9557.
_SPACED_OFFSET = re.compile(rf" (Z|UTC|GMT|{OFFSET})(?=[ \[]|$)", re.ASCII)
_ZONE_NAME = re.compile(
    r" (?P<zone>[A-Z][A-Za-z]{1,5}|[+-]\d\d(?:\d\d)?)(?: m=[+-]\d+\.\d+)?", re.ASCII
)
_SUFFIX = re.compile(
    r"(?:\[!?(?P<zone>[A-Za-z._][\w.+/-]*|[+-]\d\d:\d\d)\])?"
    r"(?:\[!?[a-z_][a-z0-9_-]*=[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\])*",
    re.ASCII,
)
_UTC_ZONES = frozenset(
    {"UTC", "GMT", "Etc/UTC", "Etc/GMT", "Etc/UCT", "UCT", "Zulu", "Z"}
)

_UNREADABLE_DATE_END = (
    "A date was understood, but not what follows it. "
    "Expected nothing, or a time such as T00:30:08.276Z."
)
_UNREADABLE_TIME_END = (
    "A date and a time were understood, but not what follows them. "
    "Expected Z or an offset such as +01:00."
)
_ZONE_WITHOUT_OFFSET = (
    "A date, a time and the name of a time zone were understood. "
    "Expected Z or an offset before the name."
)
_CRITICAL_SUFFIX = (
    "A suffix marked as critical was understood, but not its meaning. "
    "Expected a suffix without an exclamation mark, or none."
)
_CONTRADICTION = (
    "An offset and a time zone were understood, but they contradict each other. "
    "Expected one of them, or the same of both."
)
_DAY_OR_MONTH = (
    "A date with slashes or dots was understood, "
    "which does not say which number is the day. " + EXPECTED
)

_NOT_ISO = (
    WarningCode.NOT_ISO_8601,
    "The timestamp was read although it is not ISO 8601.",
)
_ZONE_IGNORED = (
    WarningCode.ZONE_NAME_IGNORED,
    "The offset was read; the name of the zone after it was not.",
)


def read_text(
    sent: str, *, two_digit_year: TwoDigitYear
) -> tuple[datetime, tuple[TimestampWarning, ...]]:
    """Read text as an instant in UTC.

    Args:
        sent: text of any length; more than `MAX_CHARACTERS` characters are refused.
        two_digit_year: how a date with a two-digit year is read.

    Raises:
        TimestampError: `invalid_timestamp`: the text has no accepted form.
        OverflowError: a well-formed instant outside the years 0001 to 9999.
    """
    instant = read_common(sent)
    if instant is not None:
        return instant, ()
    if len(sent) > MAX_CHARACTERS:
        raise invalid(EXPECTED)
    if number := read_digits(sent):
        return number
    parts, warnings = _read_parts(sent, two_digit_year)
    return assemble(parts), (*warnings, *warnings_of(parts))


def read_common(sent: str) -> datetime | None:
    """Read text of the form that nearly all senders use; None for any other."""
    if _COMMON.fullmatch(sent):
        try:
            return datetime.fromisoformat(sent)
        except ValueError:  # no such day, or the year 0000
            pass
    return None


def _read_parts(
    sent: str, two_digit_year: TwoDigitYear
) -> tuple[Parts, tuple[TimestampWarning, ...]]:
    if match := _EXTENDED.match(sent) or _BASIC.match(sent):
        return _read_rest(Parts(**match.groupdict("")), sent[match.end() :])
    if match := _TWO_DIGIT.fullmatch(sent):
        parts, warning = order_date(Parts(**match.groupdict("")), two_digit_year)
        return parts, (warning,)
    for form in _NAMED:
        if match := form.fullmatch(sent):
            month = _MONTHS[match["month"]]
            return Parts(**match.groupdict("") | {"month": month}), (_NOT_ISO,)
    if re.match(r"\d\d?[/.]\d\d?[/.]\d", sent, re.ASCII):
        raise invalid(_DAY_OR_MONTH)
    raise invalid(EXPECTED)


def _read_rest(parts: Parts, rest: str) -> tuple[Parts, tuple[TimestampWarning, ...]]:
    """Read the rest of the text after an ISO date, or an ISO date and time."""
    if rest and not parts.hour:
        raise invalid(_UNREADABLE_DATE_END)
    if not parts.offset and (spaced := _SPACED_OFFSET.match(rest)):
        parts = parts._replace(offset=spaced[1])
        rest = rest[spaced.end() :]
    if not rest:
        return parts, ()
    match = _ZONE_NAME.fullmatch(rest) or _SUFFIX.fullmatch(rest)
    if match is None:
        raise invalid(_UNREADABLE_TIME_END)
    if not parts.offset:
        raise invalid(_ZONE_WITHOUT_OFFSET)
    if "[!" in rest:
        raise invalid(_CRITICAL_SUFFIX)
    if _contradicts(match["zone"], parts.offset, is_label=match.re is _ZONE_NAME):
        raise invalid(_CONTRADICTION)
    return parts, (_ZONE_IGNORED,)


def _contradicts(zone: str | None, offset: str, *, is_label: bool) -> bool:
    """Whether a zone certainly differs from the offset before it.

    Args:
        zone: a name or a numeric offset.
        offset: as sent.
        is_label: whether the zone stands after a space, where it names the offset;
            in brackets, RFC 9557 lets any name follow `Z`.
    """
    if zone is None:
        return False
    if zone in _UTC_ZONES or zone[0] in "+-":
        return offset_of(zone) != offset_of(offset)
    return is_label and offset[0] not in "+-"

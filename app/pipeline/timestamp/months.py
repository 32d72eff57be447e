"""The grammar of timestamps with English month names and a four-digit year.

RFC 5322 and HTTP dates, C's `asctime`, JavaScript's `Date#toString`, and Java's
`Date#toString` in UTC.
"""

import re

from app.pipeline.timestamp.parts import OFFSET, Parts

_MONTH_NAMES = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_MONTHS = {name: f"{number:02}" for number, name in enumerate(_MONTH_NAMES, 1)}

_WEEKDAY = "(?P<weekday>Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_MONTH = f"(?P<month>{'|'.join(_MONTH_NAMES)})"
_YEAR = r"(?P<year>\d{4})"
_HOUR_MINUTE = r"(?P<hour>[01]\d|2[0-3]):(?P<minute>[0-5]\d)"
_SECOND = r":(?P<second>[0-5]\d|60)"
_FOUR_DIGITS = r"[+-](?:[01]\d|2[0-3])[0-5]\d"
# A zone in parentheses repeats the offset in words, in any language.
_COMMENT = r"(?: \([^()\x00-\x1f]{1,100}\))?"

# RFC 5322 section 3.3 and RFC 9110 section 5.6.7.
_MAIL_AND_HTTP = (
    rf"(?:{_WEEKDAY}, )?(?P<day>\d\d?) {_MONTH} {_YEAR} {_HOUR_MINUTE}(?:{_SECOND})? "
    rf"(?P<offset>UTC|UT|GMT|{_FOUR_DIGITS}){_COMMENT}"
)
# JavaScript's Date#toString.
_JAVASCRIPT = (
    rf"{_WEEKDAY} {_MONTH} (?P<day>\d\d) {_YEAR} {_HOUR_MINUTE}{_SECOND} "
    rf"(?:GMT|UTC)(?P<offset>{_FOUR_DIGITS}){_COMMENT}"
)
# C's asctime, Java's Date#toString, Go's UnixDate and RubyDate.
_C_AND_JAVA = (
    rf"{_WEEKDAY} {_MONTH} (?P<day>\d\d| \d) {_HOUR_MINUTE}{_SECOND}"
    rf"(?: (?P<offset>UTC|GMT|{OFFSET}))? {_YEAR}"
)
_FORMS = tuple(
    re.compile(form, re.ASCII) for form in (_MAIL_AND_HTTP, _JAVASCRIPT, _C_AND_JAVA)
)


def read_month_name(sent: str) -> Parts | None:
    """The parts of a date with an English month name, or None for any other text.

    Args:
        sent: text of any length.
    """
    for form in _FORMS:
        if match := form.fullmatch(sent):
            month = _MONTHS[match["month"]]
            return Parts(**{**match.groupdict(""), "month": month})
    return None

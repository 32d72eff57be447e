"""Which number of a date such as 20-11-23 is the year."""

from typing import Literal

from app.pipeline.issues import WarningCode
from app.pipeline.timestamp.parts import Parts, TimestampWarning, invalid

TwoDigitYear = Literal["ymd", "dmy", "reject"]

_YEAR_OF_TWO_DIGITS = (
    "A year of two digits was understood. "
    "Expected four digits, as in 2023-11-02T00:30:08.276Z."
)
_YEAR_FIRST = (
    WarningCode.TWO_DIGIT_YEAR,
    "The date was read as year-month-day, in 20YY.",
)
_YEAR_LAST = (
    WarningCode.TWO_DIGIT_YEAR,
    "The date was read as day-month-year, in 20YY.",
)


def order_date(parts: Parts, order: TwoDigitYear) -> tuple[Parts, TimestampWarning]:
    """Read the first and the last number of a date as its year and its day.

    Args:
        parts: the first number as `year`, the last one as `day`, two digits each.
        order: of the date; years are 2000 to 2099.

    Raises:
        TimestampError: `invalid_timestamp`: the order is `reject`.
    """
    match order:
        case "ymd":
            return parts._replace(year="20" + parts.year), _YEAR_FIRST
        case "dmy":
            return parts._replace(year="20" + parts.day, day=parts.year), _YEAR_LAST
        case "reject":
            raise invalid(_YEAR_OF_TWO_DIGITS)

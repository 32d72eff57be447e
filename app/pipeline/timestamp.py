"""Reading an event's timestamp, and writing an instant.

`docs/timestamps.md` says the same to senders.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import NamedTuple

import orjson

from app.pipeline.timestamp_grammar import (
    CUT,
    EXPECTED,
    TimestampError,
    TimestampWarning,
    TwoDigitYear,
    read_text,
)

__all__ = [
    "ParsedTimestamp",
    "TimestampError",
    "TimestampPolicy",
    "TwoDigitYear",
    "format_timestamp",
    "parse_timestamp",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MILLISECONDS = 10**11  # as seconds it would be the year 5138

_SECONDS = ("epoch_number", "The number was read as seconds since 1970.")
_MILLISECONDS = ("epoch_number", "The number was read as milliseconds since 1970.")


@dataclass(frozen=True, slots=True)
class TimestampPolicy:
    """What the operator decides about timestamps.

    Attributes:
        two_digit_year: the order in which `20-11-23T...` is read, or none.
        earliest: the first instant that is taken; aware.
        max_future: how far after receipt the last instant that is taken lies.
    """

    two_digit_year: TwoDigitYear = "ymd"
    earliest: datetime = _EPOCH
    max_future: timedelta = timedelta(hours=24)


class ParsedTimestamp(NamedTuple):
    """An instant, with what was sent for it.

    Attributes:
        instant: aware, UTC, whole microseconds.
        raw: ASCII; the text as sent, for a number its shortest decimal form.
        warnings: code and message of each thing that was read into it.
    """

    instant: datetime
    raw: str
    warnings: tuple[TimestampWarning, ...]


def parse_timestamp(
    sent: str | float, *, received_at: datetime, policy: TimestampPolicy
) -> ParsedTimestamp:
    """Read RFC 3339, ISO-8601, a date with a two-digit year, or an epoch number.

    Args:
        sent: as JSON gave it; text of at most `timestamp_text.MAX_TEXT` characters.
        received_at: aware; `policy.max_future` counts from it.
        policy: what the operator decided.

    Raises:
        TimestampError: it is no instant, or one outside the policy's limits.
    """
    try:
        if type(sent) is str:
            instant, warnings = read_text(sent, two_digit_year=policy.two_digit_year)
            parsed = ParsedTimestamp(instant, sent, warnings)
        elif type(sent) is int or type(sent) is float:
            parsed = _read_number(sent)
        else:  # exact types, because to isinstance a boolean is an int
            raise TimestampError("invalid_timestamp", EXPECTED)
    except OverflowError:  # outside the years 0001 to 9999 of a datetime
        raise _out_of_range(policy) from None
    instant = parsed.instant
    if instant < policy.earliest or instant - received_at > policy.max_future:
        raise _out_of_range(policy)
    return parsed


def format_timestamp(instant: datetime) -> str:
    """ISO-8601 in UTC with `Z`: milliseconds where they are exact, else microseconds.

    Raises:
        ValueError: the datetime is naive, and so no instant.
    """
    if instant.tzinfo is not UTC:
        if instant.utcoffset() is None:
            raise ValueError("a naive datetime is no instant")
        instant = instant.astimezone(UTC)
    # In a fifth of the time of isoformat: microseconds, or none where they are zero.
    text = orjson.dumps(instant, option=orjson.OPT_UTC_Z)[1:-2].decode()
    if not instant.microsecond:
        return text + ".000Z"
    return (text if instant.microsecond % 1000 else text[:-3]) + "Z"


def _out_of_range(policy: TimestampPolicy) -> TimestampError:
    hours = policy.max_future / timedelta(hours=1)
    return TimestampError(
        "timestamp_out_of_range",
        f"Expected an instant from {format_timestamp(policy.earliest)} "
        f"to {hours:.10g} hours after receipt.",
    )


def _read_number(sent: float) -> ParsedTimestamp:
    if not isfinite(sent):
        raise TimestampError("invalid_timestamp", EXPECTED)
    in_seconds = sent < _FIRST_MILLISECONDS
    exact = sent if isinstance(sent, int) else Decimal(repr(sent))
    top, bottom = exact.as_integer_ratio()
    # Floor division cuts towards the past on both sides of 1970, as text is cut.
    microseconds, rest = divmod(top * (10**6 if in_seconds else 10**3), bottom)
    instant = _EPOCH + timedelta(microseconds=microseconds)
    raw = str(top) if bottom == 1 else repr(sent)
    kind = _SECONDS if in_seconds else _MILLISECONDS
    return ParsedTimestamp(instant, raw, (kind, CUT) if rest else (kind,))

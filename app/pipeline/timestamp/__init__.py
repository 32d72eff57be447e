"""The timestamp of an event: parsed without guessing, formatted as ISO 8601."""

from app.pipeline.timestamp.grammar import read_common, read_text
from app.pipeline.timestamp.parse import (
    ParsedTimestamp,
    TimestampPolicy,
    assume_received,
    format_timestamp,
    format_timestamps,
    parse_timestamp,
)
from app.pipeline.timestamp.parts import TimestampError
from app.pipeline.timestamp.two_digit_year import TwoDigitYear

__all__ = [
    "ParsedTimestamp",
    "TimestampError",
    "TimestampPolicy",
    "TwoDigitYear",
    "assume_received",
    "format_timestamp",
    "format_timestamps",
    "parse_timestamp",
    "read_common",
    "read_text",
]

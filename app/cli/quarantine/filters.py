"""Options by which a command selects events, and how they are read."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeAlias

import typer

from app.pipeline.timestamp import TimestampError, TimestampPolicy, parse_timestamp

_SPAN = re.compile(r"([0-9]{1,9})([smhdw])")
_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


def read_since(text: str, *, now: datetime | None = None) -> datetime:
    """Read an ISO-8601 timestamp, as events have them, or a span until now.

    Args:
        text: such as `2023-11-02T00:30:00Z`, `2023-11-02`, `90s`, `30m`, `2h`, `7d`
            or `4w`. Without an offset it is UTC; years have four digits.
        now: aware; by default the clock's.

    Raises:
        BadParameter: it is neither, or no instant from 1970 to tomorrow.
    """
    now = now or datetime.now(UTC)
    span = _SPAN.fullmatch(text)
    try:
        if span is not None:
            return now - int(span[1]) * _UNITS[span[2]]
        policy = TimestampPolicy(two_digit_year="reject")
        return parse_timestamp(text, received_at=now, policy=policy).instant
    except (OverflowError, TimestampError):
        raise typer.BadParameter(
            "This is an ISO-8601 timestamp such as 2023-11-02T00:30:00Z, or a span"
            " such as 90s, 30m, 2h, 7d or 4w."
        ) from None


def time_option(text: str) -> Any:
    """An option of a command that takes what `read_since` reads, with this help."""
    return typer.Option(parser=read_since, metavar="TIME", help=text)


ReasonOption: TypeAlias = Annotated[
    str | None, typer.Option(help="Code of the first error, as invalid_timestamp.")
]
EventOption: TypeAlias = Annotated[
    str | None, typer.Option(help="The event's name, exactly as it was sent.")
]
SourceOption: TypeAlias = Annotated[str | None, typer.Option(help="Who sent it.")]
SinceOption: TypeAlias = Annotated[
    datetime | None,
    time_option("Received then or later: 2h, 7d, 2023-11-02T00:30:00Z."),
]

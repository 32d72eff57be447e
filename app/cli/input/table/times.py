"""Times in CSV: local times of a time zone, and formats of their own."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.errors import ConfigurationError
from app.pipeline.issues import WarningCode
from app.pipeline.timestamp import (
    ParsedTimestamp,
    TimestampError,
    TimestampPolicy,
    TwoDigitYear,
    parse_timestamp,
)

_OFFSET = re.compile(r"([+-])(\d\d):([0-5]\d)")
# Warnings of the parser for a text without an offset.
_NO_OFFSET = frozenset(
    {WarningCode.OFFSET_ASSUMED_UTC, WarningCode.TIME_ASSUMED_MIDNIGHT}
)
_FAR = datetime(9999, 1, 1, tzinfo=UTC)
_ANY_TIME = datetime.min.replace(tzinfo=UTC)


def read_timezone(name: str) -> tzinfo:
    """A time zone by its name, such as Europe/Berlin, or by its offset.

    Raises:
        ConfigurationError: the name is unknown.
    """
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        size = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(size if offset[1] == "+" else -size)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigurationError(
            f"--timezone {name} is neither a time zone that this machine knows, such "
            "as Europe/Berlin, nor an offset such as +01:00."
        ) from None


class TimeReader:
    """Reads the cells of a column of times.

    Args:
        date_format: strptime format of every cell; None for the formats of `/track`.
        zone: of times without an offset; None to leave them as they are.
        two_digit_year: as the service reads it.
    """

    def __init__(
        self,
        date_format: str | None,
        zone: tzinfo | None,
        two_digit_year: TwoDigitYear,
    ) -> None:
        self._format = date_format
        self._zone = zone
        self._policy = TimestampPolicy(
            two_digit_year=two_digit_year, earliest=_ANY_TIME
        )

    def read(self, cell: str) -> tuple[str, str | None]:
        """The time for the pipeline, and the option that converted it, if one did.

        Raises:
            ValueError: no instant can be read; the text says why.
        """
        if self._format is not None:
            time = _strptime(cell, self._format)
            if time.tzinfo is None and self._zone is not None:
                return self._localise(time, time.isoformat()), "time zone"
            return time.isoformat(), "date format"
        parsed = None if self._zone is None else self._parse(cell)
        # The pipeline says what is wrong with a cell that cannot be parsed.
        if parsed is None or _NO_OFFSET.isdisjoint(code for code, _ in parsed.warnings):
            return cell, None
        return self._localise(parsed.instant.replace(tzinfo=None), cell), "time zone"

    def _localise(self, time: datetime, text: str) -> str:
        """A wall-clock time with the offset that the time zone has then."""
        first = time.replace(tzinfo=self._zone)
        if first.utcoffset() != first.replace(fold=1).utcoffset():
            raise ValueError(
                "The local time occurs twice or never (daylight saving time)."
            )
        whole = first.isoformat()
        with_offset = text + whole[len(time.isoformat()) :]
        parsed = self._parse(with_offset)
        return with_offset if parsed is not None and parsed.instant == first else whole

    def _parse(self, text: str) -> ParsedTimestamp | None:
        try:
            return parse_timestamp(text, received_at=_FAR, policy=self._policy)
        except TimestampError:
            return None


def _strptime(cell: str, date_format: str) -> datetime:
    try:
        return datetime.strptime(  # noqa: DTZ007 - `_localise` adds a missing zone
            cell.strip(), date_format
        )
    except ValueError:
        raise ValueError(f"The cell does not match the format {date_format}.") from None

"""Times in CSV: local times of a time zone, and formats of their own."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.cli.input.items import FileWarning
from app.errors import ConfigurationError
from app.pipeline.issues import Issue
from app.pipeline.timestamp import (
    TimestampError,
    TimestampPolicy,
    TwoDigitYear,
    parse_timestamp,
)

_OFFSET = re.compile(r"([+-])(\d\d):([0-5]\d)")
# Warnings of the parser for a text without an offset.
_NO_OFFSET = frozenset({"offset_assumed_utc", "time_assumed_midnight"})
_FAR = datetime(9999, 1, 1, tzinfo=UTC)
_ANY_TIME = datetime.min.replace(tzinfo=UTC)


class CellTime(NamedTuple):
    """A time as it goes into the event.

    Attributes:
        text: for the pipeline to read.
        warning: the conversion that was made; None without one.
        error: why no instant can be read; None if one can.
    """

    text: str
    warning: Issue | None = None
    error: Issue | None = None


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
        path: of the column, for messages.
        date_format: strptime format of every cell; None for the formats of `/track`.
        zone: of times without an offset; None to leave them as they are.
        two_digit_year: as the service reads it.
    """

    def __init__(
        self,
        path: str,
        *,
        date_format: str | None,
        zone: tzinfo | None,
        two_digit_year: TwoDigitYear,
    ) -> None:
        self._path = path
        self._format = date_format
        self._zone = zone
        self._policy = TimestampPolicy(
            two_digit_year=two_digit_year, earliest=_ANY_TIME
        )

    def read(self, cell: str) -> CellTime:
        """The time that a cell says, with an offset where a time zone is given."""
        if self._format is None:
            return CellTime(cell) if self._zone is None else self._localise(cell)
        try:
            time = datetime.strptime(  # noqa: DTZ007 - without %z, `_at` adds the zone
                cell.strip(), self._format
            )
        except ValueError:
            message = f"The cell does not match the format {self._format}."
            return self._error(cell, message)
        if time.tzinfo is None and self._zone is not None:
            return self._at(time, cell, time.isoformat())
        return CellTime(time.isoformat(), self._warning("date format"))

    def _localise(self, cell: str) -> CellTime:
        try:
            parsed = parse_timestamp(cell, received_at=_FAR, policy=self._policy)
        except TimestampError:
            return CellTime(cell)  # the pipeline says what is wrong with it
        codes = {code for code, _ in parsed.warnings}
        if not codes & _NO_OFFSET:
            return CellTime(cell)
        return self._at(parsed.instant.replace(tzinfo=None), cell, cell)

    def _at(self, time: datetime, cell: str, text: str) -> CellTime:
        """A wall-clock time with the offset that the time zone has then."""
        first = time.replace(tzinfo=self._zone)
        if first.utcoffset() != first.replace(fold=1).utcoffset():
            message = "The local time occurs twice or never (daylight saving time)."
            return self._error(cell, message)
        warning = self._warning("time zone")
        offset = first.isoformat()[len(time.isoformat()) :]
        if self._reads_as(text + offset, first):
            return CellTime(text + offset, warning)
        return CellTime(first.isoformat(), warning)

    def _reads_as(self, text: str, instant: datetime) -> bool:
        try:
            parsed = parse_timestamp(text, received_at=_FAR, policy=self._policy)
        except TimestampError:
            return False
        return parsed.instant == instant

    def _warning(self, what: str) -> Issue:
        message = f"The time was read with the {what} that the import was given."
        return Issue(FileWarning.TIME_CONVERTED, self._path, message)

    def _error(self, cell: str, message: str) -> CellTime:
        error = Issue("invalid_timestamp", self._path, message)
        return CellTime(cell, error=error)

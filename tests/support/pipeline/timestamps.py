"""Timestamps as tests read them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.pipeline.timestamp import (
    ParsedTimestamp,
    TimestampError,
    TimestampPolicy,
    format_timestamp,
    parse_timestamp,
)

RECEIVED_AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
UNLIMITED = TimestampPolicy(
    earliest=datetime.min.replace(tzinfo=UTC), max_future=timedelta.max
)


def parse(sent: Any, policy: TimestampPolicy | None = None) -> ParsedTimestamp:
    return parse_timestamp(
        sent, received_at=RECEIVED_AT, policy=policy or TimestampPolicy()
    )


def read(
    sent: Any, policy: TimestampPolicy | None = None
) -> tuple[str, tuple[str, ...]]:
    """The instant as it would be answered, and the codes of the warnings."""
    parsed = parse(sent, policy)
    return format_timestamp(parsed.instant), tuple(code for code, _ in parsed.warnings)


def refusal(sent: Any, policy: TimestampPolicy | None = None) -> TimestampError:
    with pytest.raises(TimestampError) as caught:
        parse(sent, policy)
    return caught.value

"""The settings as policies."""

from datetime import UTC, datetime, timedelta

import pytest

from app.components.policy import event_policy
from app.pipeline.timestamp import TimestampError, parse_timestamp
from app.settings import Settings

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
OLD = (NOW - timedelta(days=31)).isoformat()
YOUNG = (NOW - timedelta(days=29)).isoformat()


def read(sent: str, **settings: object) -> datetime:
    policy = event_policy(Settings.model_validate(settings)).timestamps
    return parse_timestamp(sent, received_at=NOW, policy=policy).instant


def test_retention_by_event_time_rejects_an_expired_event() -> None:
    expiring = {"retention_days": 30, "retention_basis": "timestamp"}
    with pytest.raises(TimestampError) as error:
        read(OLD, **expiring)
    assert error.value.code == "timestamp_out_of_range"
    assert "2026-10-28T12:00:00.000Z" in error.value.message
    assert read(YOUNG, **expiring) == NOW - timedelta(days=29)


@pytest.mark.parametrize("basis", ["stored_at", "timestamp"])
def test_old_event_is_accepted_without_retention_by_event_time(basis: str) -> None:
    settings = {"retention_days": 30} if basis == "stored_at" else {}
    assert read(OLD, retention_basis=basis, **settings) == NOW - timedelta(days=31)

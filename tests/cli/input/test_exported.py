from typing import Any

import pytest

from app.cli.input.exported import restore_sent_form
from app.pipeline.timestamp import TimestampPolicy, format_timestamp, parse_timestamp
from tests.support.pipeline.verdicts import ADDED_USER, RECEIPT, SIGNED_UP

POLICY = TimestampPolicy()
ADDED = {
    "id": "i",
    "source": "s",
    "received_at": "r",
    "stored_at": "t",
    "warnings": [],
}


def exported(timestamp: str, raw: str, **changes: Any) -> dict[str, Any]:
    event = SIGNED_UP | {"timestamp": timestamp, "timestamp_raw": raw}
    return event | ADDED | changes


def restored(value: Any, policy: TimestampPolicy = POLICY) -> Any:
    return restore_sent_form(value, received_at=RECEIPT.received_at, policy=policy)


@pytest.mark.parametrize(
    "sent",
    [
        "2023-11-02T00:30:08.276Z",
        "20-11-23T22:28:55.111Z",
        "2023-11-02",
        "20231102",
        1698885008.276,
        "1698885008276",
    ],
)
def test_timestamp_becomes_the_sent_form(sent: str | float) -> None:
    parsed = parse_timestamp(sent, received_at=RECEIPT.received_at, policy=POLICY)

    event = restored(exported(format_timestamp(parsed.instant), parsed.raw))

    assert event == SIGNED_UP | {"timestamp": sent}
    assert type(event["timestamp"]) is type(sent)


@pytest.mark.parametrize(
    "raw",
    ["", "yesterday", "2023-11-03", "NaN", "1e400", "9" * 5000, '"2023-11-02"', "[1]"],
)
def test_raw_timestamp_of_another_instant_is_ignored(raw: str) -> None:
    event = exported("2023-11-02T00:30:08.276Z", raw)

    assert restored(event) == event


@pytest.mark.parametrize(
    "value", [None, 1, "x", [], {}, {"timestamp_raw": 5}, {"timestamp_raw": "x"}]
)
def test_rows_of_other_origin_stay_unchanged(value: Any) -> None:
    assert restored(value) is value


def test_instant_survives_a_change_of_the_policy() -> None:
    event = exported("2020-11-23T22:28:55.111Z", "20-11-23T22:28:55.111Z")

    assert restored(event, TimestampPolicy(two_digit_year="dmy")) == event
    assert restored(event, TimestampPolicy(two_digit_year="reject")) == event


@pytest.mark.parametrize(
    ("context", "group", "kept"),
    [
        ({"group_id": "g"}, "g", None),
        ({"groupId": 5}, "5", None),
        ({"group_id": None, "groupId": "g"}, "g", None),
        ({"group_id": "g"}, "other", "other"),
        ({}, "g", "g"),
        (None, "g", "g"),
    ],
)
def test_group_id_of_the_context_is_not_repeated(
    context: Any, group: str, kept: str | None
) -> None:
    raw = ADDED_USER["timestamp"]
    value = ADDED_USER | ADDED | {"timestamp_raw": raw}

    event = restored(value | {"context": context, "group_id": group})

    assert event.get("group_id") == kept
    assert event["context"] == context

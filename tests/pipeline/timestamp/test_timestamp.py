from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum

import pytest

from app.pipeline.timestamp import TimestampPolicy, TwoDigitYear, format_timestamp
from tests.support.pipeline.timestamps import (
    RECEIVED_AT,
    UNLIMITED,
    parse,
    read,
    refusal,
)


@pytest.mark.parametrize(
    ("sent", "instant", "codes"),
    [
        ("2023-11-02T00:30:08.276Z", "2023-11-02T00:30:08.276Z", ()),
        ("2023-11-02T00:30:08.2Z", "2023-11-02T00:30:08.200Z", ()),
        ("2023-11-02T00:30:08.000001Z", "2023-11-02T00:30:08.000001Z", ()),
        ("2023-11-02T00:30:08+00:00", "2023-11-02T00:30:08.000Z", ()),
        ("20231102t003008,5z", "2023-11-02T00:30:08.500Z", ()),
        ("20231102T0030", "2023-11-02T00:30:00.000Z", ("offset_assumed_utc",)),
        ("2023-11-02 00:30:08+0530", "2023-11-01T19:00:08.000Z", ()),
        ("20231102T003008-05:30", "2023-11-02T06:00:08.000Z", ()),
        ("2023-11-02T00:30:08-00:30", "2023-11-02T01:00:08.000Z", ()),
        ("2023-11-02T00:30:08+23:59", "2023-11-01T00:31:08.000Z", ()),
        ("2023-11-02T00:30:08-23:59", "2023-11-03T00:29:08.000Z", ()),
        ("2024-02-29", "2024-02-29T00:00:00.000Z", ("time_assumed_midnight",)),
        ("2000-02-29T00:00Z", "2000-02-29T00:00:00.000Z", ()),
    ],
)
def test_iso_8601(sent: str, instant: str, codes: tuple[str, ...]) -> None:
    assert read(sent) == (instant, codes)
    assert parse(sent).raw == sent


@pytest.mark.parametrize(
    ("sent", "instant", "codes"),
    [
        ("2025-12-31T23:59:59.9999999Z", "2025-12-31T23:59:59.999999Z", True),
        ("2025-12-31T23:59:59.1234560Z", "2025-12-31T23:59:59.123456Z", False),
        ("2025-12-31T23:59:59." + "0" * 900 + "Z", "2025-12-31T23:59:59.000Z", False),
        ("2025-12-31T23:59:59." + "0" * 900 + "1Z", "2025-12-31T23:59:59.000Z", True),
    ],
)
def test_digits_past_microseconds(sent: str, instant: str, *, codes: bool) -> None:
    assert read(sent) == (instant, ("precision_cut",) * codes)


@pytest.mark.parametrize(
    ("sent", "instant"),
    [
        ("2023-11-01T24:00Z", "2023-11-02T00:00:00.000Z"),
        ("2023-11-01T24:00:00.000Z", "2023-11-02T00:00:00.000Z"),
        ("20231101T2400Z", "2023-11-02T00:00:00.000Z"),
        ("2023-12-31T24:00:00-01:00", "2024-01-01T01:00:00.000Z"),
        ("2024-02-28T24:00:00Z", "2024-02-29T00:00:00.000Z"),
        ("23-02-28T24:00Z", "2023-03-01T00:00:00.000Z"),
        ("9999-12-31T24:00:00+00:01", "9999-12-31T23:59:00.000Z"),
    ],
)
def test_hour_24_ends_the_day(sent: str, instant: str) -> None:
    assert read(sent, UNLIMITED)[0] == instant


@pytest.mark.parametrize(
    "time", ["24:00:01", "24:01", "24:01:00", "24:00:00.0000001", "24:00:60", "25:00"]
)
def test_hour_24_allows_no_minutes(time: str) -> None:
    assert refusal(f"2016-12-31T{time}Z").code == "invalid_timestamp"


@pytest.mark.parametrize(
    ("sent", "instant"),
    [
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"),
        ("2015-06-30T23:59:60.999999Z", "2015-07-01T00:00:00.999999Z"),
        ("2023-04-30T23:59:60Z", "2023-05-01T00:00:00.000Z"),
        ("2024-02-29T23:59:60Z", "2024-03-01T00:00:00.000Z"),
        ("2016-12-31T15:59:60.123-08:00", "2017-01-01T00:00:00.123Z"),
        ("2017-01-01T05:44:60+05:45", "2017-01-01T00:00:00.000Z"),
        ("2016-12-31T23:59:60", "2017-01-01T00:00:00.000Z"),
        ("16-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"),
        ("20161231T235960Z", "2017-01-01T00:00:00.000Z"),
    ],
)
def test_second_60_where_a_leap_second_can_be(sent: str, instant: str) -> None:
    answered, codes = read(sent)
    assert answered == instant
    assert "leap_second" in codes


@pytest.mark.parametrize(
    "sent",
    [
        "2016-12-31T23:58:60Z",
        "2016-12-31T22:59:60Z",
        "2016-12-30T23:59:60Z",
        "2023-02-29T23:59:60Z",
        "2024-02-28T23:59:60Z",
        "2016-12-31T23:59:60+00:01",
        "2016-12-31T23:59:60-08:00",
        "2016-12-31T23:59:61Z",
    ],
)
def test_second_60_anywhere_else(sent: str) -> None:
    assert refusal(sent).code == "invalid_timestamp"


@pytest.mark.parametrize(
    ("sent", "order", "instant"),
    [
        ("00-01-02T03:04Z", "ymd", "2000-01-02T03:04:00.000Z"),
        ("24-02-29T00:00:00+05:30", "ymd", "2024-02-28T18:30:00.000Z"),
        ("29-02-24T00:00:00-0530", "dmy", "2024-02-29T05:30:00.000Z"),
        ("01-02-03T00:00:00+01", "dmy", "2003-01-31T23:00:00.000Z"),
    ],
)
def test_two_digit_years_are_read_by_policy(
    sent: str, order: TwoDigitYear, instant: str
) -> None:
    assert read(sent, TimestampPolicy(order)) == (instant, ("two_digit_year",))


@pytest.mark.parametrize(
    ("sent", "order"),
    [
        ("20-13-01T00:00:00Z", "ymd"),
        ("23-11-32T00:00:00Z", "ymd"),
        ("20-02-30T00:00:00Z", "ymd"),
        ("32-11-23T00:00:00Z", "dmy"),
        ("30-02-20T00:00:00Z", "dmy"),
        ("20-11-23t22:28:55Z", "ymd"),
        ("20-11-23T22:28:55z", "ymd"),
        ("20-11-23T22:28:55,1Z", "ymd"),
        ("20-11-23T22Z", "ymd"),
        ("201123T222855Z", "ymd"),
        ("20-11-23T22:28:55Z", "reject"),
    ],
)
def test_two_digit_years_never_fall_through(sent: str, order: TwoDigitYear) -> None:
    assert refusal(sent, TimestampPolicy(order)).code == "invalid_timestamp"


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "2023-11-02T00:30:08.276Z\n",
        "2023-11-02T00:30:08.276Z\x00",
        "2023-11-02_00:30:08Z",
        "2023-11-02T00:30:08.Z",
        "2023-11-02T00:30:08\u221205:00",
        "2023-11-02T00:30:08+5:30",
        "2023-11-02T00:30:08+05:3",
        "2023-11-02T00:30:08+05:60",
        "2023-11-02T00:30:08+01:00Z",
        "2023-11-02T00:30:08+01:00:00",
        "2023-11-02+01:00",
        "2023-11-02T",
        "2023-11-02T003008Z",
        "20231102 003008Z",
        "2023-11-02T24:30Z",
        "2023-11-02T00:60:00Z",
        "2023-00-02",
        "2023-11-00",
        "2023-11-31",
        "2100-02-29",
        "20231131",
        "0000-02-30",
        "0000-12-31T24:00:01Z",
        "0000-12-30T23:59:60Z",
        "9999-12-31T23:58:60-01:00",
        "+2023-11-02",
        "12023-11-02",
        "2023-11-0\u0662",
        "\uff12023-11-02",
        "tomorrow",
        "nan",
        "1e9",
        "2025-12-31T23:59:59." + "0" * 980 + "Z",
    ],
)
def test_anything_else_is_rejected(sent: str) -> None:
    assert refusal(sent, UNLIMITED).code == "invalid_timestamp"


@pytest.mark.parametrize(
    "sent",
    [
        "2023-11-02T00:30:08.276Z",
        "2023-11-02T00:30:08.2765431+05:30",
        "20231102T003008.276+0530",
        "20-11-23T22:28:55.111+05:30",
    ],
)
def test_only_ascii_digits_are_digits(sent: str) -> None:
    parse(sent)
    for place in (at for at, letter in enumerate(sent) if letter.isdigit()):
        other = chr(ord("\u0660") + int(sent[place]))
        text = sent[:place] + other + sent[place + 1 :]
        assert refusal(text).code == "invalid_timestamp"


class Count(IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    "sent",
    [True, False, None, [], {}, b"2023-11-02", Count.ONE, float("nan"), float("-inf")],
)
def test_other_types_are_rejected(sent: object) -> None:
    assert refusal(sent).code == "invalid_timestamp"


@pytest.mark.parametrize("start", ["2023-11-02T00:30:08.", "20231102T003008.", "1", ""])
@pytest.mark.parametrize("filling", ["0", "1", "-", "2023-11-02 ", "\u0661"])
def test_very_long_text_is_rejected_at_once(start: str, filling: str) -> None:
    text = start + filling * (131_072 // len(filling))
    for _ in range(100):  # a quadratic reading would run into the time limit
        assert refusal(text).code == "invalid_timestamp"


@pytest.mark.parametrize(
    "sent",
    [
        "0000-12-31T23:59:59Z",
        "0000-12-31T23:59:59-01:00",
        "0000-02-29",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T24:00:00Z",
        "9999-12-31T23:59:60Z",
        "9999-12-31T23:59:59-00:01",
    ],
)
def test_instants_that_no_datetime_holds(sent: str | float) -> None:
    assert refusal(sent, UNLIMITED).code == "timestamp_out_of_range"


@pytest.mark.parametrize(
    ("sent", "is_taken"),
    [
        ("2000-01-01T00:00:00Z", True),
        ("1999-12-31T23:59:59.999999Z", False),
        ("2000-01-01T00:00:00+00:01", False),
        ("2026-11-22T12:00:00Z", True),
        ("2026-11-22T12:00:00.000001Z", False),
        ("2026-11-22T12:00:00-00:01", False),
    ],
)
def test_limits_of_the_default_policy(sent: str | float, *, is_taken: bool) -> None:
    if is_taken:
        parse(sent)
    else:
        assert refusal(sent).code == "timestamp_out_of_range"


def test_limits_of_another_policy_are_named() -> None:
    start = datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    policy = TimestampPolicy(earliest=start, max_future=timedelta(minutes=90))
    assert read("2019-12-31T22:00:00Z", policy)[0] == "2019-12-31T22:00:00.000Z"
    assert read("2026-11-21T13:30:00Z", policy)[0] == "2026-11-21T13:30:00.000Z"
    assert refusal("2026-11-21T13:30:01Z", policy).message == (
        "The timestamp was read as 2026-11-21T13:30:01.000Z. Expected an instant from"
        " 2019-12-31T22:00:00.000Z to 1.5 hours after receipt."
    )


@pytest.mark.parametrize("sent", ["2023-11-02T00:30:08Z", "20231102T003008-05", 1.7e9])
def test_instant_is_in_utc(sent: str | float) -> None:
    assert parse(sent).instant.tzinfo is UTC


def test_naive_datetime_is_not_written() -> None:
    with pytest.raises(ValueError, match="naive"):
        format_timestamp(RECEIVED_AT.replace(tzinfo=None))

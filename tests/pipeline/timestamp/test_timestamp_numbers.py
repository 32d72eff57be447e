from decimal import Decimal

import pytest

from tests.support.pipeline.timestamps import UNLIMITED, parse, read, refusal


@pytest.mark.parametrize(
    ("sent", "instant", "raw"),
    [
        (1000000000, "2001-09-09T01:46:40.000Z", "1000000000"),
        (1700000000, "2023-11-14T22:13:20.000Z", "1700000000"),
        (1700000000.0, "2023-11-14T22:13:20.000Z", "1700000000"),
        (1.7e12, "2023-11-14T22:13:20.000Z", "1700000000000"),
        (1700000000.001, "2023-11-14T22:13:20.001Z", "1700000000.001"),
        (1700000000000.5, "2023-11-14T22:13:20.000500Z", "1700000000000.5"),
        (9999999999.5, "2286-11-20T17:46:39.500Z", "9999999999.5"),
        (1000000000000, "2001-09-09T01:46:40.000Z", "1000000000000"),
        (1700000000000000, "2023-11-14T22:13:20.000Z", "1700000000000000"),
        (1.7e15, "2023-11-14T22:13:20.000Z", "1700000000000000"),
        (1700000000000000000, "2023-11-14T22:13:20.000Z", "1700000000000000000"),
        ("1700000000", "2023-11-14T22:13:20.000Z", "1700000000"),
        ("1700000000001", "2023-11-14T22:13:20.001Z", "1700000000001"),
        ("1700000000000001", "2023-11-14T22:13:20.000001Z", "1700000000000001"),
        ("1700000000000001000", "2023-11-14T22:13:20.000001Z", "1700000000000001000"),
        (
            Decimal("1700000000.000001000"),
            "2023-11-14T22:13:20.000001Z",
            "1700000000.000001",
        ),
    ],
)
def test_number_in_each_unit_is_read(sent: float, instant: str, raw: str) -> None:
    instant_read, codes = read(sent, UNLIMITED)
    assert (instant_read, codes[0]) == (instant, "epoch_number")
    assert set(codes[1:]) <= {"ahead_of_receipt"}
    assert parse(sent, UNLIMITED).raw == raw


@pytest.mark.parametrize(
    "sent",
    [
        1700000000.1234567,
        1700000000123.4567,
        1700000000123456.5,
        "1700000000123456789",
        Decimal("1700000000.1234569999999999999999999999999999999999999"),
    ],
)
def test_number_with_digits_past_microseconds_is_cut(sent: float) -> None:
    assert read(sent) == (
        "2023-11-14T22:13:20.123456Z",
        ("epoch_number", "precision_cut"),
    )


@pytest.mark.parametrize(
    ("sent", "readings"),
    [
        (0, ["1970-01-01T00:00:00Z as seconds", "Zero often stands for"]),
        (-1, ["1969-12-31T23:59:59Z as seconds"]),
        (45233, ["2023-11-03T00:00:00Z as an Excel day number", "T12:33:53Z as sec"]),
        ("45233", ["2023-11-03T00:00:00Z as an Excel day number"]),
        ("45232.5", ["2023-11-02T12:00:00Z as an Excel day number"]),
        (19663, ["2023-11-02T00:00:00Z as days since 1970"]),
        (20231102, ["2023-11-02T00:00:00 as YYYYMMDD"]),
        ("202311020030", ["2023-11-02T00:30:00 as YYYYMMDDhhmm"]),
        (20231102003008, ["2023-11-02T00:30:08 as YYYYMMDDhhmmss"]),
        (720577808.276, ["2023-11-02T00:30:08.276000Z as seconds since 2001"]),
        (999999999, ["2001-09-09T01:46:39Z as seconds", "as milliseconds"]),
        (10**10, ["2286-11-20T17:46:40Z as seconds", "as milliseconds"]),
        (10**12 - 1, ["2001-09-09T01:46:39.999000Z as milliseconds"]),
        ("0123456789", ["1973-11-29T21:33:09Z as seconds"]),
        (1e300, ["a date in no unit"]),
        (-(10**4000), ["a date in no unit"]),
        (Decimal("1e-1000"), ["1970-01-01T00:00:00Z as seconds"]),
    ],
)
def test_number_of_uncertain_unit_is_rejected_with_its_readings(
    sent: float, readings: list[str]
) -> None:
    error = refusal(sent, UNLIMITED)
    assert error.code == "invalid_timestamp"
    assert [reading for reading in readings if reading not in error.message] == []
    assert "10 digits (seconds)" in error.message

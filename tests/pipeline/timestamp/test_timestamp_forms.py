import pytest

from app.pipeline.timestamp import assume_received
from tests.support.pipeline.timestamps import RECEIVED_AT, parse, read, refusal

GO = ("zone_name_ignored",)
OTHER = ("not_iso_8601",)


@pytest.mark.parametrize(
    ("sent", "codes"),
    [
        ("2023-11-02 00:30:08 UTC", ()),
        ("2023-11-02T00:30:08 GMT", ()),
        ("20231102T003008 Z", ()),
        ("2023-11-02 01:30:08 +0100", ()),
        ("2023-11-02 01:30:08 +01", ()),
        ("2023-11-02 06:00:08 +0530 IST", GO),
        ("2023-11-02 06:00:08 +0530 +0530", GO),
        ("2023-11-02 00:30:08 +0000 UTC m=+0.000012345", GO),
        ("2023-11-01 21:30:08 -0300 -03 m=-12.5", GO),
        ("2023-11-02T00:30:08+00:00 UTC", GO),
        ("2023-11-02T01:30:08+01:00[Europe/Berlin]", GO),
        ("2023-11-02T00:30:08Z[Etc/UTC]", GO),
        ("2023-11-02T00:30:08Z[America/New_York][u-ca=hebrew]", GO),
        ("2023-11-02T01:30:08+01:00[+01:00]", GO),
        ("2023-11-02T00:30:08Z[u-ca=iso8601][key=a-b]", GO),
        ("Thu, 02 Nov 2023 00:30:08 GMT", OTHER),
        ("Thu, 2 Nov 2023 01:30:08 +0100", OTHER),
        ("02 Nov 2023 00:30:08 UT", OTHER),
        ("Thu, 02 Nov 2023 00:30:08 +0000 (UTC)", OTHER),
        ("Thu Nov 02 2023 01:30:08 GMT+0100 (heure normale)", OTHER),
        ("Thu Nov 02 2023 00:30:08 GMT+0000", OTHER),
        ("Thu Nov  2 00:30:08 UTC 2023", OTHER),
        ("Thu Nov 02 00:30:08 GMT 2023", OTHER),
        ("Thu Nov 02 01:30:08 +0100 2023", OTHER),
        ("Thu Nov  2 00:30:08 2023", (*OTHER, "offset_assumed_utc")),
    ],
)
def test_form_of_one_reading_is_read(sent: str, codes: tuple[str, ...]) -> None:
    assert read(sent) == ("2023-11-02T00:30:08.000Z", codes)
    assert parse(sent).raw == sent


@pytest.mark.parametrize(
    "sent",
    [
        "2023-11-02T00:30:08  Z",
        "2023-11-02T00:30:08UTC",
        "2023-11-02T00:30:08 utc",
        "2023-11-02T00:30:08 CET",
        "2023-11-02T00:30:08 UTC CET",
        "2023-11-02T00:30:08Z CET",
        "2023-11-02T00:30:08+01:00 UTC",
        "2023-11-02T00:30:08+01:00 +0200",
        "2023-11-02T00:30:08+01:00[UTC]",
        "2023-11-02T00:30:08+01:00[+02:00]",
        "2023-11-02T00:30:08[Europe/Berlin]",
        "2023-11-02T00:30:08+01:00[!Europe/Berlin]",
        "2023-11-02T00:30:08Z[!u-ca=hebrew]",
        "2023-11-02T00:30:08Z[Europe/Berlin][!x=y]",
        "2023-11-02T00:30:08Z[Europe/Berlin][Europe/Paris]",
        "2023-11-02T00:30:08Z[u-ca=iso8601][Europe/Paris]",
        "2023-11-02T00:30:08Z[]",
        "2023-11-02T00:30:08Z[Europe/Berlin] CET",
        "2023-11-02 00:30:08 +0000 UTC m=+",
        "2023-11-02 00:30:08 m=+0.1",
        "2023-11-02[Europe/Berlin]",
        "2023-11-02 +0100",
        "20-11-23T22:28:55 UTC",
        "20-11-23T22:28:55Z[Etc/UTC]",
        "Wed, 02 Nov 2023 00:30:08 GMT",
        "Thu, 31 Nov 2023 00:30:08 GMT",
        "Thu, 02 Nov 23 00:30:08 GMT",
        "Thursday, 02-Nov-23 00:30:08 GMT",
        "Thu, 02 Nov 2023 00:30:08",
        "Thu, 02 Nov 2023 00:30:08 EST",
        "Thu, 02 Nov 2023 24:00:00 GMT",
        "Do, 02 Nov 2023 00:30:08 GMT",
        "Thu Nov 02 2023",
        "Thu Nov 02 00:30:08 CET 2023",
        "Thu Nov 02 2023 00:30:08 GMT+0000 (a (b))",
        "Nov 02 2023 00:30:08 GMT+0000",
        "Thu Nov 02 2023 00:30 GMT+0000",
        "Thu Nov  2 00:30 2023",
        "20-11-23T22:28:55,5Z",
        "02.11.2023 00:30",
    ],
)
def test_form_of_two_readings_is_rejected(sent: str) -> None:
    assert refusal(sent).code == "invalid_timestamp"


@pytest.mark.parametrize(
    ("sent", "understood"),
    [
        ("2023-02-29", "no such day"),
        ("2023-11-02 00h30", "A date was understood"),
        ("2023-11-02T00:30:08 Uhr", "the name of a time zone"),
        ("2023-11-02T00:30:08Z!", "A date and a time were understood"),
        ("2023-11-02T00:30:08+01:00[UTC]", "contradict"),
        ("2023-11-02T00:30:08Z[!x=y]", "critical"),
        ("Fri, 02 Nov 2023 00:30:08 GMT", "weekday"),
        ("11/02/2023", "which number is the day"),
        ("1999-12-31T23:59:59Z", "read as 1999-12-31T23:59:59.000Z"),
        ("2026-11-23", "read as 2026-11-23T00:00:00.000Z"),
        ("9999-12-31T24:00:00Z", "outside the years 0001 to 9999"),
    ],
)
def test_error_reports_the_understood_part(sent: str, understood: str) -> None:
    assert understood in refusal(sent).message


@pytest.mark.parametrize(
    ("sent", "codes"),
    [
        ("2026-11-21T13:00:00Z", ()),
        ("2026-11-21T13:00:00.001Z", ("ahead_of_receipt",)),
        ("2026-11-21T15:00:00+01:00", ("ahead_of_receipt",)),
        ("2026-11-22", ("time_assumed_midnight", "ahead_of_receipt")),
    ],
)
def test_instant_over_an_hour_ahead_is_warned_of(
    sent: str, codes: tuple[str, ...]
) -> None:
    assert read(sent)[1] == codes


def test_absent_timestamp_is_the_time_of_receipt() -> None:
    parsed = assume_received(RECEIVED_AT)
    assert (parsed.instant, parsed.raw) == (RECEIVED_AT, "")
    assert [code for code, _ in parsed.warnings] == ["timestamp_assumed_received"]

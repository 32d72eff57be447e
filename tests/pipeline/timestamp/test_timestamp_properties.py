from datetime import UTC, datetime, timedelta, timezone

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.pipeline.timestamp import (
    ParsedTimestamp,
    TimestampError,
    TimestampPolicy,
    TwoDigitYear,
    format_timestamp,
    format_timestamps,
    parse_timestamp,
)
from tests.support.pipeline.timestamp_oracle import Verdict, microseconds_of
from tests.support.pipeline.timestamp_strategies import (
    EPOCH,
    SentTimestamp,
    date_texts,
    date_time_texts,
    instants,
    sent_timestamps,
    zoned_texts,
)

RECEIVED_AT = datetime(2026, 11, 21, tzinfo=UTC)
FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)
ORDERS: list[TwoDigitYear] = ["ymd", "dmy", "reject"]
# An instant that was read may be in an error's message, nothing else that was sent.
LONGEST_INSTANT = len("2023-11-02T00:30:08.276543Z")
LETTERS = "0123456789-+:.,TtZz W/_\n\u2212\u0663"

quick = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def unlimited(order: TwoDigitYear = "ymd") -> TimestampPolicy:
    return TimestampPolicy(order, earliest=FIRST, max_future=timedelta.max)


def parse_or_error(
    sent: str | float, policy: TimestampPolicy
) -> ParsedTimestamp | TimestampError:
    try:
        return parse_timestamp(sent, received_at=RECEIVED_AT, policy=policy)
    except TimestampError as error:
        return error


@st.composite
def nearly_right(draw: st.DrawFn) -> str:
    """An accepted text with a few characters put in, taken out or exchanged."""
    made = draw(st.one_of(date_time_texts(), date_texts(), zoned_texts()))
    text = str(made.sent).partition("[")[0].partition(" m=")[0]
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(text)))
        stop = min(len(text), start + draw(st.integers(0, 2)))
        text = text[:start] + draw(st.text(LETTERS, max_size=2)) + text[stop:]
    return text


@quick
@given(given_=sent_timestamps())
def test_any_instant_in_any_form_is_read_back(given_: SentTimestamp) -> None:
    parsed = parse_timestamp(
        given_.sent,
        received_at=RECEIVED_AT,
        policy=unlimited(),
    )
    assert parsed.instant == given_.instant
    assert parsed.instant.tzinfo is UTC
    ahead = parsed.instant > RECEIVED_AT + timedelta(hours=1)
    codes = given_.codes | ({"ahead_of_receipt"} if ahead else set())
    assert {code for code, _ in parsed.warnings} == codes
    if isinstance(given_.sent, str):
        assert parsed.raw == given_.sent
    else:
        assert type(given_.sent)(parsed.raw) == given_.sent


def first_reading(text: str, order: TwoDigitYear) -> Verdict:
    outcome = parse_or_error(text, unlimited(order))
    if isinstance(outcome, TimestampError):
        return "invalid" if outcome.code == "invalid_timestamp" else "out_of_range"
    return (outcome.instant - EPOCH) // timedelta(microseconds=1)


@settings(quick, max_examples=300)
@given(text=nearly_right(), order=st.sampled_from(ORDERS))
@example(text="2016-12-31T23:59:60+00:30", order="ymd")
@example(text="0000-02-29T00:00:00Z", order="ymd")
@example(text="0000-02-30T00:00:00Z", order="ymd")
@example(text="29-02-23T00:00:00Z", order="ymd")
@example(text="29-02-24T00:00:00Z", order="dmy")
@example(text="9999-12-31T24:00:00+00:01", order="ymd")
@example(text="0001-01-01T00:00:00+00:01", order="ymd")
def test_both_readings_of_the_grammar_agree(text: str, order: TwoDigitYear) -> None:
    assert first_reading(text, order) == microseconds_of(text, order=order)


@quick
@given(text=st.text(LETTERS, max_size=30))
def test_both_readings_agree_on_malformed_dates(text: str) -> None:
    assert first_reading(text, "ymd") == microseconds_of(text)


@quick
@given(
    sent=st.one_of(
        nearly_right(),
        st.text(),
        st.text(st.characters(codec=None)),  # lone surrogates too
        st.integers(),
        st.integers(-(10**1000), 10**1000),
        st.floats(),
        st.none(),
        st.booleans(),
        st.lists(st.integers(), max_size=2),
    ),
    order=st.sampled_from(ORDERS),
)
@example(sent=10**1000 - 1, order="ymd")
@example(sent=-(10**5000), order="ymd")
@example(sent=float("inf"), order="ymd")
@example(sent=float("nan"), order="ymd")
@example(sent=1.7976931348623157e308, order="ymd")
def test_only_timestamp_errors_are_raised(
    sent: str | float, order: TwoDigitYear
) -> None:
    policy = TimestampPolicy(order)
    outcome = parse_or_error(sent, policy)
    if isinstance(outcome, TimestampError):
        assert "xpected " in outcome.message
        assert str(outcome) == outcome.message
        if isinstance(sent, str) and len(sent) > LONGEST_INSTANT:
            assert sent not in outcome.message
    else:
        assert policy.earliest <= outcome.instant <= RECEIVED_AT + policy.max_future


@quick
@given(instant=st.one_of(instants(), st.sampled_from([FIRST, LAST])))
def test_written_timestamp_is_read_back_without_warnings(instant: datetime) -> None:
    text = format_timestamp(instant)
    parsed = parse_timestamp(text, received_at=RECEIVED_AT, policy=unlimited())
    assert parsed.instant == instant
    assert {code for code, _ in parsed.warnings} <= {"ahead_of_receipt"}
    assert format_timestamp(parsed.instant) == text


@quick
@given(several=st.lists(instants(), min_size=1))
@example(several=[FIRST, RECEIVED_AT, RECEIVED_AT.replace(microsecond=120_000), LAST])
def test_several_timestamps_are_written_as_each_by_itself(
    several: list[datetime],
) -> None:
    assert format_timestamps(several) == [*map(format_timestamp, several)]


@quick
@given(instant=instants(), minutes=st.integers(-1439, 1439))
def test_any_offset_is_written_as_utc(instant: datetime, minutes: int) -> None:
    elsewhere = instant.astimezone(timezone(timedelta(minutes=minutes)))
    assert format_timestamp(elsewhere) == format_timestamp(instant)


@quick
@given(milliseconds=st.integers(10**12, 4 * 10**12))
def test_no_millisecond_moves_between_whole_and_fractional_seconds(
    milliseconds: int,
) -> None:
    readings = {
        parse_timestamp(sent, received_at=RECEIVED_AT, policy=unlimited()).instant
        for sent in (milliseconds, float(milliseconds), milliseconds / 1000)
    }
    assert readings == {EPOCH + timedelta(milliseconds=milliseconds)}

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.pipeline.process import process_event
from app.pipeline.record import BodyTraits, Policy, Record
from app.pipeline.rejection import Rejection
from app.pipeline.timestamp import TimestampPolicy
from tests.support.pipeline.json_strategies import (
    json_texts,
    mutated_events,
    odd_values,
)
from tests.support.pipeline.verdicts import (
    POLICY,
    RECEIPT,
    added_user_with,
    is_storable_object,
    judge_array,
    judge_body,
    rejected,
    signed_up_with,
    stored,
    told,
    with_properties,
)

HEAD = b'{"event":"signed_up","user_id":"u","timestamp":"2023-11-02T00:30:08.276Z",'
CANARY = "c4n4ry"


def with_p(text: str) -> bytes:
    """A valid event with a property of this JSON."""
    return HEAD + b'"properties":{"name":"N","email":"a@b","p":%b}}' % text.encode()


def property_p(record: Record) -> str:
    return record.properties.partition('"p":')[2].removesuffix("}")


@given(odd_values() | mutated_events(), st.none() | st.text(st.characters()))
@example({"event": "signed_up", "context": float("nan")}, None)
@example(signed_up_with(context=float("nan")), None)
@example(signed_up_with(properties=float("nan")), None)
@example(signed_up_with(user_id=float("nan"), userId=float("nan")), None)
def test_content_never_raises_and_all_that_is_kept_fits_postgres(
    sent: Any, idempotency_key: str | None
) -> None:
    verdict = judge_body(json.dumps(sent).encode(), idempotency_key=idempotency_key)
    if isinstance(verdict, Record):
        assert is_storable_object(verdict.properties)
        assert is_storable_object(verdict.context)
        texts = [verdict.user_id, verdict.event, verdict.timestamp_raw]
        texts += [verdict.group_id or "", verdict.message_id or ""]
        assert verdict.timestamp.tzinfo is UTC
    else:
        assert verdict.errors
        texts = [verdict.payload, verdict.event or "", verdict.message_id or ""]
        texts += [part for error in verdict.errors for part in error]
    texts += [part for warning in verdict.warnings for part in warning]
    assert all("\0" not in text and text.encode() for text in texts if text)


@given(json_texts())
def test_any_json_gets_a_result(text: str) -> None:
    for verdict in judge_array(f"[{text}]".encode()):
        assert isinstance(verdict, Rejection)
        assert verdict.errors


@given(mutated_events())
def test_payload_is_unchanged_and_kept_with_its_record(sent: Any) -> None:
    before = repr(copy.deepcopy(sent))
    verdict = process_event(
        sent,
        request_context=RECEIPT,
        policy=POLICY,
        body=BodyTraits(plain=False, deep=True, large=True),
    )
    assert repr(sent) == before
    assert isinstance(verdict, Rejection) or verdict.sent is sent


@pytest.mark.parametrize("text", ["[]", "[{}]", "5", '"x"', "null", "true", "NaN"])
def test_event_is_an_object(text: str) -> None:
    rejection = rejected(text.encode())
    assert told(rejection.errors) == {("invalid_type", "")}
    assert rejection.payload == text


def test_source_and_receipt_time_are_kept() -> None:
    for verdict in (stored(signed_up_with()), rejected(b"{}"), rejected(b"1")):
        assert verdict.source == RECEIPT.source
        assert verdict.received_at == RECEIPT.received_at
        assert verdict.request_id == RECEIPT.request_id


def test_bad_event_never_affects_its_neighbours() -> None:
    good = json.dumps(signed_up_with()).encode()
    bad = [b"{}", b"NaN", b"[[[]]]", b'{"a\\u0000":1e400}', b"[" * 99 + b"]" * 99]
    verdicts = judge_array(b"[" + b",".join([*bad, good, *bad]) + b"]")
    expected = [False] * 5 + [True] + [False] * 5
    assert [isinstance(verdict, Record) for verdict in verdicts] == expected


@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"a":', "}")])
def test_event_is_at_most_64_levels_deep(start: str, end: str) -> None:
    # `properties` is one level inside the event.
    stored(with_p(start * 63 + "0" + end * 63))
    rejection = rejected(with_p(start * 64 + "0" + end * 64))
    assert told(rejection.errors) == {("too_deep", "")}
    assert "64" in rejection.errors[0].message
    assert not rejection.truncated


def test_depth_counts_in_ignored_fields_and_in_a_batch() -> None:
    deep = json.loads("[" * 65 + "]" * 65)
    assert rejected(signed_up_with(integrations=deep)).reason == "too_deep"
    stored(signed_up_with(integrations=deep[0]))
    batch = f"[{json.dumps(signed_up_with(integrations=deep[0]))}]"
    assert isinstance(judge_array(batch.encode())[0], Record)


def test_depth_never_becomes_a_recursion_error() -> None:
    deep = b"[" * 990 + b"]" * 990
    twice = b'{"user_id":%b,"userId":%b,"event":%b,"event_name":%b}'
    rejection = rejected(twice % (deep, deep, deep, deep))
    assert rejection.reason == "too_deep"
    assert rejection.event is None
    odd = b'{"x":%b,"y":1e400,"z":NaN}' % (deep[50:-50])
    assert rejected(odd).reason == "too_deep"


def test_event_has_at_most_128_kib_of_compact_json() -> None:
    empty = len(with_p('""'))
    fits = with_p('"' + "x" * (131_072 - empty) + '"')
    assert len(fits) == 131_072
    stored(fits)
    stored(fits.replace(b",", b" , "))
    too_large = rejected(fits.replace(b"xx", b"xxx", 1))
    assert told(too_large.errors) == {("event_too_large", "")}
    assert "131072" in too_large.errors[0].message
    verdicts = judge_array(b"[" + fits + b",NaN," + with_p("1") + b"]")
    assert [isinstance(verdict, Record) for verdict in verdicts] == [True, False, True]


@pytest.mark.parametrize("odd", [r"\ud800", r"\u0000", r"\u00e9", "é", "\U0001f600"])
def test_size_is_that_of_utf_8_however_it_was_sent(odd: str) -> None:
    bytes_each = len(json.loads(f'"{odd}"').encode(errors="surrogatepass"))
    if odd == r"\u0000":
        bytes_each = 6  # UTF-8 or not, JSON can write it only so
    space = 131_072 - len(with_p('""')) - bytes_each
    stored(with_p('"' + odd + "x" * space + '"') + b" " * 131_072)
    too_large = rejected(with_p('"' + odd + "x" * (space + 1) + '"') + b" " * 131_072)
    assert too_large.reason == "event_too_large"


def test_limits_are_those_of_the_policy() -> None:
    policy = Policy(TimestampPolicy(), max_event_bytes=200, max_depth=2)
    stored(with_p("{}"), policy=policy)
    assert rejected(with_p("[[]]"), policy=policy).reason == "too_deep"
    long = rejected(with_p('"' + "x" * 200 + '"'), policy=policy)
    assert long.reason == "event_too_large"


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_number_that_is_not_finite_is_stored_as_null(text: str) -> None:
    record = stored(with_p(f"[1,{text}]"))
    assert property_p(record) == "[1,null]"
    assert told(record.warnings) == {("non_finite_number", "properties.p[1]")}


def test_field_that_is_not_a_number_is_absent() -> None:
    nan = float("nan")
    record = stored(signed_up_with(context=nan, message_id=nan, group_id=nan))
    assert (record.context, record.message_id, record.group_id) == ("{}", None, None)
    assert told(record.warnings) == {
        ("non_finite_number", name) for name in ("context", "message_id", "group_id")
    }
    record = stored(signed_up_with(context={"group_id": nan, "a": 1}))
    assert record.group_id is None
    assert record.context == '{"a":1,"group_id":null}'
    assert [(w.code, w.path) for w in record.warnings] == [
        ("non_finite_number", "context.group_id")
    ]
    for name in ("event", "user_id", "timestamp", "properties"):
        rejection = rejected(signed_up_with(**{name: nan}))
        assert told(rejection.errors) == {("missing_field", name)}
    rejection = rejected(added_user_with(context={"groupId": nan}))
    assert told(rejection.errors) == {("missing_field", "context.groupId")}


@pytest.mark.parametrize("odd", ["\0", "\ud800", "x\udfff"])
def test_character_that_postgres_refuses_is_replaced(odd: str) -> None:
    mended = "\ufffd" if len(odd) == 1 else "x\ufffd"
    context = {"a": [{"b": odd}]}
    record = stored(
        with_properties(signed_up_with(context=context), **{f"k{odd}": odd})
    )
    assert json.loads(record.context) == {"a": [{"b": mended}]}
    assert json.loads(record.properties)[f"k{mended}"] == mended
    assert told(record.warnings) == {
        ("character_replaced", f"properties.k{mended}"),
        ("character_replaced", "context.a[0].b"),
    }


@pytest.mark.parametrize("odd", ["\0", "\ud800", "a\0", "\udfffz"])
@pytest.mark.parametrize(
    ("place", "path"),
    [
        ({"user_id": None, "userId": "?"}, "userId"),
        ({"user_id": "?"}, "user_id"),
        ({"group_id": "?"}, "group_id"),
        ({"context": {"groupId": "?"}}, "context.groupId"),
        ({"message_id": "?"}, "message_id"),
        ({"messageId": "?"}, "messageId"),
    ],
)
def test_id_is_never_sanitized(place: dict[str, Any], path: str, odd: str) -> None:
    text = json.dumps(signed_up_with(**place)).replace('"?"', json.dumps(odd))
    rejection = rejected(text.encode())
    assert told(rejection.errors) == {("invalid_character", path)}


def test_errors_are_listed_in_the_order_of_the_fields() -> None:
    """A group id of the context is one of the last fields, though read first."""
    text = json.dumps(signed_up_with(user_id="?", context={"group_id": "a\0"}))
    rejection = rejected(text.replace('"?"', "1e400").encode())
    paths = [error.path for error in rejection.errors]
    assert paths == ["user_id", "context.group_id"]


@pytest.mark.parametrize("key", ["\0", "a\0", "\ud800"])
def test_header_is_never_sanitized(key: str) -> None:
    rejection = rejected(signed_up_with(), idempotency_key=key)
    assert told(rejection.errors) == {("invalid_character", "Idempotency-Key")}


@pytest.mark.parametrize("place", ["properties", "context"])
def test_keys_that_become_equal_reject_the_event(place: str) -> None:
    sent = signed_up_with()
    sent[place] = sent.get(place, {}) | {"k": {"a\0": 1, "a\ud800": 1}}
    rejection = rejected(sent)
    assert told(rejection.errors) == {("duplicate_key", f"{place}.k.a\ufffd")}


@pytest.mark.parametrize(
    "text",
    [
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775809",
        "7" * 1_000,
        "-" + "7" * 1_000,
    ],
)
def test_integers_are_stored_exactly(text: str) -> None:
    assert property_p(stored(with_p(f"[{text}]"))) == f"[{text}]"
    assert stored(with_p(text)).warnings == ()


@pytest.mark.parametrize("text", ["7" * 1_001, "-" + "7" * 1_001, "1e309", "-1e309"])
@pytest.mark.parametrize("place", ["properties", "context", "user_id", "messageId"])
def test_number_out_of_range_rejects_the_event(place: str, text: str) -> None:
    sent = signed_up_with(**{place: "?"})
    path = place
    if place in {"properties", "context"}:
        sent[place] = {"email": "a@b", "x": ["?"]}
        path = f"{place}.x[0]"
    body = json.dumps(sent).replace('"?"', text).encode()
    rejection = rejected(body)
    assert told(rejection.errors) == {("number_out_of_range", path)}
    assert text in rejection.payload


def test_number_out_of_range_in_an_ignored_field_is_ignored() -> None:
    stored(HEAD + b'"properties":{"email":"a@b"},"sentAt":1e400}')


@pytest.mark.parametrize(
    "text", ["1e308", "-1e308", "1.7976931348623157e308", "5e-324"]
)
def test_finite_doubles_are_stored(text: str) -> None:
    assert json.loads(property_p(stored(with_p(text)))) == float(text)


def test_timestamp_is_validated_against_the_receipt_time() -> None:
    at = datetime(2024, 2, 29, tzinfo=UTC)
    request_context = RECEIPT._replace(received_at=at)
    sent = signed_up_with(timestamp="2024-03-01T00:00:00Z")
    assert stored(sent, request_context=request_context).timestamp == at + timedelta(
        days=1
    )
    late = signed_up_with(timestamp="2024-03-01T00:00:00.001Z")
    rejection = rejected(late, request_context=request_context)
    assert told(rejection.errors) == {("timestamp_out_of_range", "timestamp")}


def test_warnings_of_the_timestamp_come_with_the_others() -> None:
    record = stored(
        signed_up_with(userId=5, user_id=None, timestamp=1_700_000_000.1234567)
    )
    assert told(record.warnings) == {
        ("coerced_to_text", "userId"),
        ("epoch_number", "timestamp"),
        ("precision_cut", "timestamp"),
    }
    assert record.timestamp_raw == "1700000000.1234567"


@given(mutated_events(), odd_values())
def test_no_issue_contains_a_value_of_the_payload(sent: Any, odd: Any) -> None:
    marked = _mark([sent, {"event": odd, "user_id": odd, "properties": {"email": odd}}])
    for verdict in judge_array(json.dumps(marked).encode()):
        errors = verdict.errors if isinstance(verdict, Rejection) else ()
        for issue in (*verdict.warnings, *errors):
            assert CANARY not in repr(issue)
            assert "98765" not in repr(issue)


def _mark(value: Any) -> Any:
    """The value with a mark in each text and each number."""
    if isinstance(value, dict):
        return {key: _mark(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_mark(inner) for inner in value]
    if isinstance(value, str):
        return value + CANARY
    return value if value is None or isinstance(value, bool) else 10**40 + 98_765

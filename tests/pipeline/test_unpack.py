import json
from typing import Any

import pytest

from app.pipeline.record import Policy, Record
from app.pipeline.rejection import Rejection
from app.pipeline.timestamp import TimestampPolicy
from app.pipeline.unpack import Ignored, Unpacked, process_events, unpack
from app.request_errors import (
    EmptyBodyError,
    InvalidBodyError,
    InvalidJsonError,
    TooManyEventsError,
    TooManyValuesError,
)
from tests.support.pipeline.verdicts import POLICY, RECEIPT, SIGNED_UP, without


def unpacked(
    value: Any,
    *,
    policy: Policy = POLICY,
    max_events: int = 10,
    lenient: bool = False,
) -> Unpacked:
    return unpack(
        json.dumps(value).encode(),
        policy=policy,
        max_events=max_events,
        lenient=lenient,
    )


@pytest.mark.parametrize(
    ("value", "events"),
    [
        ({"a": 1}, [{"a": 1}]),
        ([{"a": 1}, {"b": 2}], [{"a": 1}, {"b": 2}]),
        ({"batch": [{"a": 1}], "context": {}, "sentAt": "x"}, [{"a": 1}]),
        ({"batch": {"a": 1}}, [{"batch": {"a": 1}}]),
        ({"batch": None}, [{"batch": None}]),
        ([{"batch": [1]}], [{"batch": [1]}]),
        ([[{"a": 1}]], [[{"a": 1}]]),
        ([None, 1, "x"], [None, 1, "x"]),
        ({}, [{}]),
    ],
)
def test_events_are_found_in_each_form(value: Any, events: list[Any]) -> None:
    assert unpacked(value).events == events


@pytest.mark.parametrize("value", [[], {"batch": []}])
def test_body_without_events_is_refused_except_for_sdks(value: Any) -> None:
    with pytest.raises(EmptyBodyError):
        unpacked(value)
    assert unpacked(value, lenient=True).events == []


@pytest.mark.parametrize("value", [None, 1, 1.5, "text", True])
def test_other_json_is_refused_except_for_sdks(value: Any) -> None:
    with pytest.raises(InvalidBodyError):
        unpacked(value)
    assert unpacked(value, lenient=True).events == [value]


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("form", [list, lambda events: {"batch": events}])
def test_events_are_counted_to_the_limit_and_no_further(
    *, form: Any, lenient: bool
) -> None:
    assert len(unpacked(form([{}] * 10), lenient=lenient).events) == 10
    with pytest.raises(TooManyEventsError):
        unpacked(form([{}] * 11), lenient=lenient)


@pytest.mark.parametrize("lenient", [False, True])
def test_invalid_json_is_refused_everywhere(*, lenient: bool) -> None:
    with pytest.raises(InvalidJsonError, match="line 2, column 3"):
        unpack(b"{\n  x: 1}", policy=POLICY, max_events=10, lenient=lenient)


def message_ids(value: Any, header: str | None) -> list[str | None]:
    context = RECEIPT._replace(idempotency_key=header)
    entries = process_events(unpacked(value), request_context=context, policy=POLICY)
    assert all(isinstance(entry, Record | Rejection) for entry in entries)
    return [e.message_id for e in entries if not isinstance(e, Ignored)]


def test_idempotency_key_names_the_one_event_of_a_body_and_no_other() -> None:
    assert message_ids(SIGNED_UP, "header") == ["header"]
    assert message_ids({"event": "unknown"}, "header") == ["header"]
    assert message_ids([SIGNED_UP], "header") == [None]
    assert message_ids({"batch": [SIGNED_UP]}, "header") == [None]
    assert message_ids({"batch": SIGNED_UP}, "header") == ["header"]


def test_body_outranks_the_idempotency_key() -> None:
    for name in ("message_id", "messageId"):
        assert message_ids(SIGNED_UP | {name: "body"}, "header") == ["body"]
    assert message_ids(SIGNED_UP | {"messageId": None}, "header") == ["header"]
    assert message_ids(SIGNED_UP, None) == [None]


def test_each_event_is_validated_separately_and_in_order() -> None:
    bad = without(SIGNED_UP, "user_id")
    entries = process_events(
        unpacked([bad, SIGNED_UP, 7, SIGNED_UP | {"user_id": "v"}]),
        request_context=RECEIPT,
        policy=POLICY,
    )

    assert [type(entry) for entry in entries] == [Rejection, Record, Rejection, Record]


def test_ignored_calls_are_not_validated() -> None:
    value = [{"type": "page"}, SIGNED_UP, 7]
    entries = process_events(
        unpacked(value),
        request_context=RECEIPT,
        policy=POLICY,
        ignores=lambda event: event != SIGNED_UP,
    )

    assert [type(entry) for entry in entries] == [Ignored, Record, Ignored]


def test_event_that_grows_beyond_the_limit_in_compact_json_is_rejected_alone() -> None:
    fits = json.dumps(SIGNED_UP).encode()
    # As compact JSON, each number is 1000000000000000.0.
    grows = fits[:-1] + b',"context":{"x":[' + b",".join([b"1e15"] * 12_000) + b"]}}"
    body = b"[%b,%b]" % (grows, fits)
    assert len(body) < POLICY.max_event_bytes / 2
    found = unpack(body, policy=POLICY, max_events=2, lenient=False)
    large, small = process_events(found, request_context=RECEIPT, policy=POLICY)
    assert isinstance(large, Rejection)
    assert large.reason == "event_too_large"
    assert isinstance(small, Record)


def test_size_of_an_event_excludes_the_rest_of_the_body() -> None:
    policy = Policy(TimestampPolicy(), max_event_bytes=400, max_depth=3)
    large = SIGNED_UP | {"context": {"x": "y" * 400}}
    deep = SIGNED_UP | {"context": {"a": {"b": {"c": {}}}}}
    fits = SIGNED_UP | {"context": {"a": {"b": {}}}}
    entries = process_events(
        unpacked([large, deep, fits, SIGNED_UP], policy=policy),
        request_context=RECEIPT,
        policy=policy,
    )

    reasons = [getattr(entry, "reason", None) for entry in entries]
    assert reasons == ["event_too_large", "too_deep", None, None]


def test_body_of_too_many_values_is_refused_before_decoding() -> None:
    for body in (b"[1, 2, 3]", b"[1, 2, oops]"):
        with pytest.raises(TooManyValuesError, match="at most 2 values"):
            unpack(body, policy=POLICY, max_events=10, lenient=True, max_values=2)

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.pipeline.issues import Issue
from app.pipeline.json_decode import decode
from app.pipeline.json_encode import decimal_text, encode_exactly
from app.pipeline.rejection import MAX_PAYLOAD, reject
from tests.support.pipeline.json_strategies import json_texts, odd_values
from tests.support.pipeline.verdicts import RECEIPT, rejected, signed_up_with

REASON = Issue("too_long", "user_id", "At most 255 characters are taken.")


def payload_of(size: int) -> bytes:
    """A bad event whose payload has this many bytes."""
    return b'{"x":"' + b"x" * (size - len('{"x":""}')) + b'"}'


@given(json_texts())
@example('{"event": "nope", "a": [NaN, -Infinity, 1e400, "\\ud800\\u0000"], "é": 1e5}')
@example('{"\\u0000": {"\\udfff": ' + "1" * 1_001 + "}}")
@example("[" * 300 + "-1e400" + "]" * 300)
def test_payload_reads_back_unchanged(text: str) -> None:
    sent = decode(text.encode(), max_depth=64).value
    rejection = reject(sent, request_context=RECEIPT, errors=[REASON])
    assert rejection.payload.isascii()
    assert rejection.payload_bytes == len(rejection.payload)
    assert not rejection.truncated
    again = decode(rejection.payload.encode(), max_depth=64).value
    assert encode_exactly(again) == encode_exactly(sent)
    assert _plainly(again) == _plainly(sent)


@pytest.mark.parametrize(
    ("size", "truncated"), [(MAX_PAYLOAD, False), (MAX_PAYLOAD + 1, True)]
)
def test_payload_is_cut_at_128_kib(size: int, *, truncated: bool) -> None:
    rejection = rejected(payload_of(size))
    assert MAX_PAYLOAD == 131_072
    assert rejection.payload == payload_of(size).decode()[:MAX_PAYLOAD]
    assert rejection.payload_bytes == size
    assert rejection.truncated is truncated


def test_payloads_that_differ_only_past_the_cut_are_two() -> None:
    one = rejected(payload_of(MAX_PAYLOAD * 2))
    other = rejected(payload_of(MAX_PAYLOAD * 2).replace(b'x"}', b'y"}'))
    assert one.payload == other.payload
    assert one.id != other.id


@given(odd_values())
def test_body_sent_again_has_the_same_id(sent: Any) -> None:
    later = RECEIPT._replace(
        received_at=RECEIPT.received_at + timedelta(days=1), request_id="other"
    )
    one = rejected([sent])
    assert (
        rejected(json.dumps([sent], indent=1).encode(), request_context=later).id
        == one.id
    )
    other = RECEIPT._replace(source="crm")
    assert rejected([sent], request_context=other).id != one.id


def test_reason_is_the_first_error_and_all_are_kept() -> None:
    second = Issue("invalid_email", "properties.email", "No email.")
    warning = Issue("non_finite_number", "properties.a", "Stored as null.")
    rejection = reject(
        {}, request_context=RECEIPT, errors=[REASON, second], warnings=[warning]
    )
    assert rejection.reason == "too_long"
    assert rejection.errors == (REASON, second)
    assert rejection.warnings == (warning,)
    other = reject({}, request_context=RECEIPT, errors=[second, REASON])
    assert other.id != rejection.id
    assert rejected(b'{"event":"Signed Up","userId":7}').warnings


@pytest.mark.parametrize(
    ("sent", "event", "message_id"),
    [
        ({"event": "nope", "message_id": "m"}, "nope", "m"),
        ({"event_name": "nope", "messageId": "m"}, "nope", "m"),
        ({"event": None, "event_name": "nope"}, "nope", "header"),
        ({"event": 5, "messageId": 6}, None, None),
        ({"event": "a\0b\ud800", "messageId": "\0"}, "a\ufffdb\ufffd", "\ufffd"),
        ({"event": "x" * 256, "messageId": "y" * 300}, "x" * 255, "y" * 255),
        ({}, None, "header"),
        ([], None, None),
    ],
)
def test_event_and_message_id_are_kept_as_far_as_they_can_be(
    sent: Any, event: str | None, message_id: str | None
) -> None:
    rejection = rejected(sent, idempotency_key="header")
    assert rejection.event == event
    assert rejection.message_id == message_id


@pytest.mark.parametrize("key", ["integrations", "properties"])
def test_header_is_kept_whatever_the_reason(key: str) -> None:
    deep = {
        "too_deep": json.loads("[" * 70 + "]" * 70),
        "event_too_large": "x" * 140_000,
    }
    for reason, value in deep.items():
        sent = signed_up_with(**{key: value})
        rejection = rejected(sent, idempotency_key="header")
        assert (rejection.reason, rejection.message_id) == (reason, "header")


@given(st.text(st.characters()), st.text(st.characters()))
def test_rejection_with_any_names_is_storable(event: str, key: str) -> None:
    rejection = rejected({"event": event, "messageId": key, "user_id": 1.5})
    for column in (rejection.event, rejection.message_id):
        assert column is not None
        assert "\0" not in column
        column.encode()


def _plainly(value: Any) -> str:
    """As Python shows it, but for the order of keys."""
    if isinstance(value, dict):
        members = [f"{key!r}: {_plainly(value[key])}" for key in sorted(value)]
        return "{" + ", ".join(members) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_plainly, value)) + "]"
    return decimal_text(value) if isinstance(value, Decimal) else repr(value)

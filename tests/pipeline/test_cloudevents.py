"""CloudEvents 1.0, made by the official Python SDK where it has the form."""

import json
from typing import Any

import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from app.pipeline.cloudevents import binary_attributes
from app.pipeline.record import Record
from app.pipeline.rejection import Rejection
from app.pipeline.unpack import process_events, unpack
from tests.support.pipeline.verdicts import (
    POLICY,
    RECEIPT,
    SIGNED_UP,
    rejected,
    stored,
    told,
    without,
)

EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/billing",
    "type": "com.example.signed_up",
    "subject": "u1",
    "time": "2023-11-02T00:30:08.276Z",
    "datacontenttype": "application/json",
    "data": {"email": "ann@example.com", "name": "Ann"},
}


def made(**attributes: str) -> CloudEvent:
    """An event of the SDK."""
    sdk_attributes = {
        name: value
        for name, value in (EVENT | attributes).items()
        if name not in {"data", "time", "specversion"}
    }
    return CloudEvent(sdk_attributes, EVENT["data"])


def process(
    body: bytes, headers: dict[bytes, bytes] | None = None
) -> list[Record | Rejection]:
    unpacked = unpack(
        body,
        policy=POLICY,
        max_events=10,
        lenient=False,
        attributes=binary_attributes(headers or {}),
    )
    # The SDK sets the present time, which is after the receipt of other tests.
    context = RECEIPT._replace(received_at=RECEIPT.received_at.replace(year=2096))
    return process_events(  # type: ignore[return-value] # nothing is ignored
        unpacked, request_context=context, policy=POLICY
    )


def test_attributes_become_fields() -> None:
    record = stored(EVENT)
    assert (record.event, record.user_id) == ("signed_up", "u1")
    assert (record.message_id, record.group_id) == ("e-1", None)
    assert record.timestamp_raw == EVENT["time"]
    assert json.loads(record.properties) == EVENT["data"]
    assert json.loads(record.extra) == {"source": "/billing"}
    assert record.warnings == ()


def test_user_and_account_are_extensions() -> None:
    sent = EVENT | {"userid": "u2", "groupid": "g1", "traceparent": "00-ab"}
    record = stored(sent)
    assert (record.user_id, record.group_id) == ("u2", "g1")
    assert json.loads(record.extra) == {
        "source": "/billing",
        "subject": "u1",
        "traceparent": "00-ab",
    }


def test_absent_time_is_the_time_of_receipt() -> None:
    record = stored(without(EVENT, "time"))
    assert record.timestamp == RECEIPT.received_at
    assert told(record.warnings) == {("timestamp_assumed_received", "time")}


def test_source_is_part_of_the_identity() -> None:
    one = stored(EVENT)
    assert stored(EVENT | {"source": "/crm"}).id != one.id
    assert stored(EVENT | {"id": "e-2"}).id != one.id
    assert stored(EVENT | {"data": {"email": "b@c"}}).id == one.id
    plain = SIGNED_UP | {"user_id": "u1", "message_id": "e-1"}
    assert stored(plain).id != one.id


@pytest.mark.parametrize(
    ("changes", "code", "path"),
    [
        ({"id": None}, "missing_field", "id"),
        ({"id": ""}, "missing_field", "id"),
        ({"source": None}, "missing_field", "source"),
        ({"source": ["/billing"]}, "invalid_type", "source"),
        ({"type": None}, "missing_field", "type"),
        ({"type": "com.example.nope"}, "unknown_event", "type"),
        ({"type": 5}, "invalid_type", "type"),
        ({"subject": None}, "missing_field", "subject"),
        ({"userid": "undefined"}, "placeholder_id", "userid"),
        ({"specversion": "0.3"}, "invalid_type", "specversion"),
        ({"time": "yesterday"}, "invalid_timestamp", "time"),
        ({"data": None}, "missing_field", "data"),
        ({"data": "text"}, "invalid_type", "data"),
        ({"data": {}}, "missing_field", "data.email"),
        ({"data": {"email": 5}}, "invalid_type", "data.email"),
        ({"data": None, "data_base64": "e30="}, "missing_field", "data"),
    ],
)
def test_error_has_its_path_in_the_attributes(
    changes: dict[str, Any], code: str, path: str
) -> None:
    assert (code, path) in told(rejected(EVENT | changes).errors)


def test_source_that_postgres_cannot_hold_is_repaired() -> None:
    record = stored(EVENT | {"source": "a\0\ud800"})
    assert json.loads(record.extra) == {"source": "a\ufffd\ufffd"}
    assert told(record.warnings) == {("character_replaced", "source")}


def test_structured_mode_of_the_sdk_is_read() -> None:
    message = to_structured_event(made(userid="u2"))
    assert message.headers["content-type"] == "application/cloudevents+json"
    [record] = process(message.body)
    assert isinstance(record, Record)
    assert (record.event, record.user_id, record.message_id) == (
        "signed_up",
        "u2",
        "e-1",
    )


def test_batched_mode_is_an_array_of_structured_events() -> None:
    bodies = [to_structured_event(made(id=f"e-{n}")).body for n in range(3)]
    records = process(b"[" + b",".join(bodies) + b"]")
    assert [record.message_id for record in records] == ["e-0", "e-1", "e-2"]


def test_binary_mode_of_the_sdk_is_the_same_event() -> None:
    event = made(userid="u 1%", subject="Zo\u00eb \u20ac")
    message = to_binary_event(event)
    headers = {key.encode(): value.encode() for key, value in message.headers.items()}
    [binary] = process(message.body, headers)
    [structured] = process(to_structured_event(event).body)
    assert isinstance(binary, Record)
    assert isinstance(structured, Record)
    assert binary._replace(sent=None) == structured._replace(sent=None)
    assert json.loads(binary.extra)["subject"] == "Zo\u00eb \u20ac"


def test_binary_mode_with_bytes_that_are_no_text_is_rejected() -> None:
    message = to_binary_event(made())
    headers = {key.encode(): value.encode() for key, value in message.headers.items()}
    [verdict] = process(message.body, headers | {b"ce-userid": b"u%FF\xff"})
    assert isinstance(verdict, Record | Rejection)
    [verdict] = process(message.body, headers | {b"ce-userid": b"u\xff"})
    assert isinstance(verdict, Rejection)
    assert told(verdict.errors) == {("invalid_character", "userid")}


def test_headers_without_a_version_are_no_cloudevent() -> None:
    assert binary_attributes({b"ce-id": b"e-1"}) is None

"""An entry that went through the journal makes the same row as a direct commit."""

import json
from typing import Any

import pytest
from hypothesis import given

from app.pipeline.issues import Issue
from app.pipeline.json_encode import encode_exactly
from app.pipeline.outcome import Entry
from app.pipeline.record import Record
from app.store.journal.codec import decode_entry, encode_entry
from app.store.quarantine.caps import ID_CONFLICT, reject_record
from tests.support.pipeline.json_strategies import json_texts, mutated_events
from tests.support.pipeline.verdicts import judge_body, signed_up_with
from tests.support.store.entries import record, rejection


def assert_survives(entry: Entry) -> None:
    again = decode_entry(encode_entry(entry))
    assert type(again) is type(entry)
    for name in type(entry).__annotations__:
        if name != "sent":
            assert getattr(again, name) == getattr(entry, name), name
    if isinstance(entry, Record):
        assert isinstance(again, Record)
        # It is there to be quarantined: that must give the same row.
        assert encode_exactly(again.sent) == encode_exactly(entry.sent)
        assert reject_record(again, ID_CONFLICT) == reject_record(entry, ID_CONFLICT)


@given(mutated_events())
def test_any_event_survives(event: Any) -> None:
    assert_survives(judge_body(json.dumps(event).encode()))


@given(json_texts())
def test_any_json_survives_inside_an_event_and_as_one(text: str) -> None:
    event = json.dumps(signed_up_with(context={"a": 1}))
    inside = event[:-1] + f', "sent_too": {text}}}'
    assert_survives(judge_body(inside.encode(errors="surrogatepass")))
    assert_survives(judge_body(text.encode(errors="surrogatepass")))


def test_invalid_entry_is_reported() -> None:
    encoded = encode_entry(record())
    for broken in (
        b"",
        b"{}",
        b"[]",
        b'["record", {}]',
        b'["table", {}]',
        encoded[:-1],
        encoded.replace(b'"user_id"', b'"user"'),
        encoded.replace(b'"sent": "', b'"sent": "['),
    ):
        with pytest.raises(ValueError, match=r".*"):
            decode_entry(broken)


def test_time_of_receipt_is_kept_to_the_microsecond() -> None:
    entry = rejection()
    again = decode_entry(encode_entry(entry))
    assert again.received_at == entry.received_at
    assert again.received_at.utcoffset() == entry.received_at.utcoffset()


# As the release before this one wrote them: without a version.
OLD_RECORD = (
    b'["record", {"id": "00000000-0000-8000-8000-000000000001", "source": "billing",'
    b' "event": "signed_up", "user_id": "u-1", "group_id": null,'
    b' "timestamp": "2023-11-02T00:30:08.276000+00:00",'
    b' "timestamp_raw": "2023-11-02T00:30:08.276Z",'
    b' "received_at": "2026-11-21T23:59:59.123456+00:00", "message_id": "m-1",'
    b' "properties": "{\\"email\\":\\"a@b\\"}", "context": "{}",'
    b' "warnings": [["two_digit_year", "timestamp", "Read as 2023."]],'
    b' "content_hash": "30313233343536373839616263646566",'
    b' "sent": "{\\"event\\": \\"signed_up\\"}", "request_id": "r-1"}]'
)
OLD_REJECTION = (
    b'["rejection", {"id": "00000000-0000-8000-8000-000000000002",'
    b' "received_at": "2026-11-21T23:59:59.123456+00:00", "source": "billing",'
    b' "event": null, "message_id": null, "reason": "missing_field",'
    b' "errors": [["missing_field", "event", "Send it."]], "warnings": [],'
    b' "payload": "{}", "payload_bytes": 2, "truncated": false, "request_id": "r-2"}]'
)


def test_record_of_the_release_before_is_read_with_its_id() -> None:
    entry = decode_entry(OLD_RECORD)

    assert isinstance(entry, Record)
    assert entry.id == "00000000-0000-8000-8000-000000000001"
    assert (entry.source, entry.user_id, entry.message_id) == ("billing", "u-1", "m-1")
    assert entry.content_hash == b"0123456789abcdef"
    assert entry.sent == {"event": "signed_up"}
    assert entry.warnings == (Issue("two_digit_year", "timestamp", "Read as 2023."),)
    assert entry.extra == "{}"
    assert_survives(entry)


def test_rejection_of_the_release_before_is_read() -> None:
    entry = decode_entry(OLD_REJECTION)

    assert not isinstance(entry, Record)
    assert (entry.reason, entry.payload) == ("missing_field", "{}")
    assert entry.errors == (Issue("missing_field", "event", "Send it."),)
    assert_survives(entry)


def test_entry_of_a_newer_version_is_refused() -> None:
    newer = encode_entry(record()).replace(b"[2,", b"[3,", 1)
    with pytest.raises(ValueError, match=r"version \[3\]"):
        decode_entry(newer)

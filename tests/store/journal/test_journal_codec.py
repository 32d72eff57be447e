"""What goes through the journal makes the row that a commit would have made."""

import json
from typing import Any

import pytest
from hypothesis import given

from app.pipeline.json_encode import encode_exactly
from app.pipeline.record import Record
from app.store.journal.codec import decode_entry, encode_entry
from app.store.quarantine.caps import ID_CONFLICT, reject_record
from app.store.write.insert import Entry
from tests.support.entries import record, rejection
from tests.support.json_strategies import json_texts, mutated_events
from tests.support.pipeline import judge_body, signed_up_with


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


def test_what_is_not_an_entry_is_told() -> None:
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


def test_the_time_of_receipt_is_kept_to_the_microsecond() -> None:
    entry = rejection()
    again = decode_entry(encode_entry(entry))
    assert again.received_at == entry.received_at
    assert again.received_at.utcoffset() == entry.received_at.utcoffset()

import copy
import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.events.envelope import (
    FIELD_NAMES,
    GROUP_NAMES,
    IDEMPOTENCY_HEADER,
    SDK_FIELDS,
)
from app.pipeline.fields.canonical import (
    _MAX_SHAPES,
    _SHAPES,
    canonicalise,
    fields_by_shape,
)
from app.pipeline.fields.sanitize import MAX_WARNINGS
from tests.support.pipeline.json_strategies import (
    canonical_events,
    odd_values,
    spellings,
)
from tests.support.pipeline.verdicts import (
    rejected,
    signed_up_with,
    stored,
    told,
    without,
)

# Each place a field is read from, the first one first, as the design's table has it.
PLACES = {
    "event": ["event", "event_name"],
    "user_id": ["user_id", "userId"],
    "group_id": ["context.group_id", "context.groupId", "group_id", "groupId"],
    "timestamp": ["timestamp"],
    "message_id": ["message_id", "messageId"],
    "properties": ["properties"],
    "context": ["context"],
}
EVERY_PLACE = [(field, place) for field, places in PLACES.items() for place in places]
PAIRS = [
    (field, first, second)
    for field, places in PLACES.items()
    for first, second in itertools.combinations(places, 2)
]


def at(*placed: tuple[str, Any]) -> dict[str, Any]:
    """An object with these values at these places."""
    sent: dict[str, Any] = {}
    for place, value in placed:
        outer, _, inner = place.partition(".")
        if inner:
            sent.setdefault(outer, {})[inner] = value
        else:
            sent[outer] = value
    return sent


@pytest.mark.parametrize(("field", "place"), EVERY_PLACE)
def test_field_is_read_from_each_of_its_places(field: str, place: str) -> None:
    folded = canonicalise(at((place, "sent")))
    assert folded.fields[field] == "sent"
    assert folded.names[field] == place
    assert folded.errors == []


def test_names_are_those_of_the_table() -> None:
    assert list(FIELD_NAMES["event"]) == PLACES["event"]
    assert list(FIELD_NAMES["user_id"]) == PLACES["user_id"]
    assert list(FIELD_NAMES["message_id"]) == PLACES["message_id"]
    inside = [f"context.{name}" for name in GROUP_NAMES]
    assert [*inside, *GROUP_NAMES] == PLACES["group_id"]


@pytest.mark.parametrize(("field", "first", "second"), PAIRS)
def test_two_names_with_one_value_are_accepted(
    field: str, first: str, second: str
) -> None:
    folded = canonicalise(at((second, "same"), (first, "same")))
    assert folded.fields[field] == "same"
    assert folded.names[field] == first
    assert folded.errors == []


@pytest.mark.parametrize(("field", "first", "second"), PAIRS)
def test_two_names_with_two_values_conflict_and_are_both_reported(
    field: str, first: str, second: str
) -> None:
    folded = canonicalise(at((second, "other"), (first, "one")))
    assert told(folded.errors) == {("conflicting_fields", second)}
    assert f"`{first}`" in folded.errors[0].message
    assert f"`{second}`" in folded.errors[0].message
    assert folded.fields[field] == "one"


@pytest.mark.parametrize(("field", "first", "second"), PAIRS)
def test_null_equals_absence(field: str, first: str, second: str) -> None:
    folded = canonicalise(at((first, None), (second, "sent")))
    assert folded.fields[field] == "sent"
    assert folded.names[field] == second
    assert folded.errors == []
    assert field not in canonicalise(at((first, None), (second, None))).fields


@pytest.mark.parametrize(
    ("one", "other"), [(1, 1.0), (1, True), (0, False), (1, "1"), ("a", "A"), ("", 0)]
)
def test_equal_means_equal_in_json(one: Any, other: Any) -> None:
    folded = canonicalise({"user_id": one, "userId": other})
    assert told(folded.errors) == {("conflicting_fields", "userId")}


def test_conflict_rejects_the_event() -> None:
    rejection = rejected(signed_up_with(userId="someone else"))
    assert rejection.reason == "conflicting_fields"
    assert "someone else" not in rejection.errors[0].message


def test_timestamp_of_the_sdk_is_read_only_where_there_is_no_other() -> None:
    alone = canonicalise({"timestamp": None, "originalTimestamp": "then"})
    assert alone.fields["timestamp"] == "then"
    assert alone.names["timestamp"] == "originalTimestamp"
    both = canonicalise({"originalTimestamp": "now", "timestamp": "then"})
    assert both.fields["timestamp"] == "then"
    assert both.names["timestamp"] == "timestamp"
    assert both.errors == []


def test_header_is_read_only_where_there_is_no_message_id() -> None:
    alone = canonicalise({"message_id": None}, idempotency_key="key")
    assert alone.fields["message_id"] == "key"
    assert alone.names["message_id"] == IDEMPOTENCY_HEADER
    both = canonicalise({"messageId": "id"}, idempotency_key="key")
    assert both.fields["message_id"] == "id"
    assert both.errors == []


def test_header_names_the_event_that_is_stored() -> None:
    assert stored(signed_up_with(), idempotency_key="key").message_id == "key"
    sent = signed_up_with(message_id="own")
    assert stored(sent, idempotency_key="key").message_id == "own"


@pytest.mark.parametrize("context", ["text", ["group_id"], 5, True])
def test_group_is_read_only_from_objects(context: Any) -> None:
    folded = canonicalise({"context": context})
    assert "group_id" not in folded.fields
    assert folded.fields["context"] == context


@pytest.mark.parametrize("key", sorted(SDK_FIELDS))
def test_known_sdk_field_is_ignored(key: str) -> None:
    plain = stored(signed_up_with())
    with_field = stored(signed_up_with(**{key: {"anything": [1]}}))
    assert with_field._replace(sent=None) == plain._replace(sent=None)


@pytest.mark.parametrize("key", ["Event", "", "plan", "a\u0301", "x" * 100])
def test_unknown_field_is_kept_with_a_warning(key: str) -> None:
    plain = stored(signed_up_with())
    record = stored(signed_up_with(**{key: {"anything": [1]}}))
    assert json.loads(record.extra) == {key: {"anything": [1]}}
    assert plain.extra == "{}"
    assert told(record.warnings) == {("unknown_field", key[:64])}
    assert record.id != plain.id
    assert (record.properties, record.context) == (plain.properties, plain.context)


def test_unknown_field_of_null_is_absent() -> None:
    assert stored(signed_up_with(plan=None)).id == stored(signed_up_with()).id
    assert stored(signed_up_with(plan=None)).extra == "{}"


def test_unknown_fields_are_sanitized_as_properties_are() -> None:
    body = json.dumps(signed_up_with()).encode()[:-1] + rb',"a\u0000":[NaN,1.5e-400]}'
    record = stored(body)
    assert record.extra.startswith('{"a\\ufffd":[null,0.000')
    assert told(record.warnings) == {
        ("character_replaced", "a\ufffd"),
        ("non_finite_number", "a\ufffd[0]"),
        ("unknown_field", "a\ufffd"),
    }


def test_unknown_fields_are_listed_up_to_a_limit() -> None:
    record = stored(signed_up_with(**{f"field_{n}": n for n in range(20)}))
    assert len(record.warnings) == MAX_WARNINGS
    assert record.warnings[-1].message.endswith("No further field is listed.")
    assert len(json.loads(record.extra)) == 20


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("messageid", "message_id"),
        ("message-id", "message_id"),
        ("mesage_id", "message_id"),
        ("usr_id", "user_id"),
        ("UserID", "user_id"),
        ("eventName", "event"),
        ("property", None),
        ("contxt", "context"),
        ("account_id", "group_id"),
        ("occurred_at", "timestamp"),
        ("plan", None),
        ("", None),
    ],
)
def test_unknown_field_names_the_near_miss(key: str, meant: str | None) -> None:
    [warning] = stored(signed_up_with(**{key: "x"})).warnings
    assert (f"`{meant}`" in warning.message) == (meant is not None)


@given(st.dictionaries(st.sampled_from([*PLACES, "userId", "groupId"]), odd_values()))
def test_decoded_event_is_not_modified(sent: dict[str, Any]) -> None:
    before = repr(copy.deepcopy(sent))
    canonicalise(sent, idempotency_key="key")
    assert repr(sent) == before


@given(
    st.dictionaries(
        st.sampled_from([*PLACES, "userId", "groupId", "sentAt", "more"]), odd_values()
    ),
    st.none() | st.dictionaries(st.sampled_from([*GROUP_NAMES, "ip"]), odd_values()),
)
def test_fields_are_read_alike_by_the_shape_of_the_keys(
    sent: dict[str, Any], context: dict[str, Any] | None
) -> None:
    if context is not None:
        sent = {**sent, "context": context}
    fields = fields_by_shape(sent)
    read = canonicalise(sent)
    if fields is not None:
        present = {k: v for k, v in fields.items() if v is not None}
        assert present == read.fields
        assert list(present) == list(read.fields)
        assert read.extra == {}
        assert read.errors == []


def test_number_of_kept_shapes_is_bounded() -> None:
    for names in itertools.permutations(PLACES):
        fields_by_shape(dict.fromkeys(names))

    assert len(_SHAPES) == _MAX_SHAPES


@given(st.data(), canonical_events())
def test_every_spelling_of_an_event_is_stored_alike(
    data: st.DataObject, event: dict[str, Any]
) -> None:
    spelt = data.draw(spellings(event))
    one, other = stored(event), stored(spelt)
    assert other.id == one.id
    assert other.content_hash == one.content_hash
    for column in ("event", "user_id", "group_id", "timestamp", "timestamp_raw"):
        assert getattr(other, column) == getattr(one, column)
    assert (other.message_id, other.properties) == (one.message_id, one.properties)


@pytest.mark.parametrize(
    ("changes", "code", "path"),
    [
        ({"userId": ""}, "too_short", "userId"),
        ({"user_id": True}, "invalid_type", "user_id"),
        ({"userId": {"id": 1}}, "invalid_type", "userId"),
        ({"event_name": "nope"}, "unknown_event", "event_name"),
        ({"event_name": 5}, "invalid_type", "event_name"),
        ({"originalTimestamp": "nope"}, "invalid_timestamp", "originalTimestamp"),
        ({"timestamp": "nope"}, "invalid_timestamp", "timestamp"),
        ({"context": {"groupId": ""}}, "too_short", "context.groupId"),
        ({"context": {"group_id": 1.5}}, "invalid_type", "context.group_id"),
        ({"groupId": []}, "invalid_type", "groupId"),
        ({"messageId": 1.5}, "invalid_type", "messageId"),
        ({"context": [1]}, "invalid_type", "context"),
        ({"properties": [{}]}, "invalid_type", "properties"),
        ({"properties": []}, "missing_field", "properties.email"),
        ({"userId": "undefined"}, "placeholder_id", "userId"),
        ({"context": {"groupId": "null"}}, "placeholder_id", "context.groupId"),
        ({"properties": {"email": 5}}, "invalid_type", "properties.email"),
        ({"userId": 10**999}, "too_long", "userId"),
    ],
)
def test_error_has_its_path_in_the_sender_s_own_names(
    changes: dict[str, Any], code: str, path: str
) -> None:
    replaced = {
        "userId": "user_id",
        "event_name": "event",
        "originalTimestamp": "timestamp",
    }
    gone = [replaced[name] for name in changes if name in replaced]
    rejection = rejected(without(signed_up_with(**changes), *gone))
    assert told(rejection.errors) == {(code, path)}


def test_warning_has_its_path_in_the_sender_s_own_names() -> None:
    record = stored(
        b'{"event_name": "Signed Up", "userId": 5, "context": {"groupId": 6},'
        b'"originalTimestamp": "23-11-02T00:30Z",'
        b'"properties": {"email": "a@b", "name": "A"}}'
    )
    assert told(record.warnings) == {
        ("event_name_folded", "event_name"),
        ("coerced_to_text", "userId"),
        ("coerced_to_text", "context.groupId"),
        ("two_digit_year", "originalTimestamp"),
    }


def test_name_of_a_null_field_is_unknown_with_and_without_an_unknown_field() -> None:
    assert "user_id" not in canonicalise({"userId": None}).names
    assert "user_id" not in canonicalise({"userId": None, "zzz": 1}).names

import json
import unicodedata
from typing import Any

import pytest

from app.events import account_added_user, signed_up
from app.pipeline.issues import Issue
from app.pipeline.rejection import Rejection
from tests.support.pipeline.verdicts import (
    CATALOG,
    added_user_with,
    judge_body,
    rejected,
    signed_up_with,
    stored,
    told,
    with_properties,
    without,
)

ASTRAL = "\U0001f600"
IDS = ["user_id", "group_id", "message_id"]


def test_documented_sample_of_signed_up_is_stored() -> None:
    record = stored(signed_up.SAMPLE)
    assert record.event == "signed_up"
    assert record.user_id == "766b3aef-5904-46fe-af05-a293fee8h345"
    assert record.group_id is None
    assert record.timestamp.isoformat() == "2020-11-23T22:28:55.111000+00:00"
    assert record.timestamp_raw == "20-11-23T22:28:55.111Z"
    assert record.properties == (
        '{"email":"john.doe@example.com","first_name":"John","last_name":"Doe",'
        '"name":"John Doe"}'
    )
    assert record.context == "{}"
    assert told(record.warnings) == {("two_digit_year", "timestamp")}


def test_documented_sample_of_account_added_user_is_stored() -> None:
    record = stored(account_added_user.SAMPLE)
    assert record.event == "account_added_user"
    assert record.group_id == "47464e5b-4727-11ee-aeb6-fefbf8354ds3"
    assert record.timestamp.isoformat() == "2023-11-02T00:30:08.276000+00:00"
    assert record.context == '{"group_id":"47464e5b-4727-11ee-aeb6-fefbf8354ds3"}'
    assert record.warnings == ()


@pytest.mark.parametrize("name", ["Signed Up", "Account Added User"])
def test_title_case_is_folded_with_a_warning(name: str) -> None:
    sent = signed_up_with(event=name)
    if name != "Signed Up":
        sent = added_user_with(event=name)
    record = stored(sent)
    assert record.event == name.lower().replace(" ", "_")
    assert told(record.warnings) == {("event_name_folded", "event")}
    assert f"`{record.event}`" in record.warnings[0].message


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("signed up", "signed_up"),
        ("SIGNED_UP", "signed_up"),
        ("Signed_Up", "signed_up"),
        ("SignedUp", "signed_up"),
        (" signed_up", "signed_up"),
        ("signed_up\n", "signed_up"),
        ("sign_up", "signed_up"),
        ("Account added user", "account_added_user"),
        ("account_added_users", "account_added_user"),
    ],
)
def test_unknown_name_is_rejected_with_the_nearest_one(name: str, nearest: str) -> None:
    rejection = rejected(signed_up_with(event=name))
    assert rejection.reason == "unknown_event"
    assert told(rejection.errors) == {("unknown_event", "event")}
    assert f"nearest known event is `{nearest}`" in rejection.errors[0].message
    assert all(f"`{known}`" in rejection.errors[0].message for known in CATALOG)


def test_unknown_name_without_a_similar_one_is_rejected() -> None:
    for name in ("", "Event Name", "数", "\ud800", "x" * 5, "a" * 100_000):
        assert rejected(signed_up_with(event=name)).reason == "unknown_event"


def test_unknown_event_gets_all_errors_of_its_envelope() -> None:
    rejection = rejected(b'{"event": "nope", "user_id": "", "messageId": 1}')
    assert told(rejection.errors) == {
        ("unknown_event", "event"),
        ("too_short", "user_id"),
        ("missing_field", "timestamp"),
        ("missing_field", "properties"),
    }


@pytest.mark.parametrize("name", ["event", "user_id", "timestamp", "properties"])
@pytest.mark.parametrize("null", [True, False])
def test_missing_required_field_is_an_error(name: str, *, null: bool) -> None:
    sent = signed_up_with(**{name: None}) if null else without(signed_up_with(), name)
    assert told(rejected(sent).errors) == {("missing_field", name)}


@pytest.mark.parametrize("null", [True, False])
def test_group_is_required_if_the_user_joins_one(*, null: bool) -> None:
    sent = added_user_with(context={"group_id": None} if null else None)
    assert told(rejected(sent).errors) == {("missing_field", "group_id")}
    assert stored(signed_up_with(group_id=None)).group_id is None


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("character", ["x", "é", ASTRAL, "\u2063"])
def test_id_has_1_to_255_characters(name: str, character: str) -> None:
    for count in (1, 255):
        record = stored(signed_up_with(**{name: character * count}))
        assert getattr(record, name) == character * count
    long = rejected(signed_up_with(**{name: character * 256}))
    assert told(long.errors) == {("too_long", name)}
    assert "255" in long.errors[0].message
    empty = rejected(signed_up_with(**{name: ""}))
    assert told(empty.errors) == {("too_short", name)}


@pytest.mark.parametrize("name", IDS)
def test_id_is_never_trimmed(name: str) -> None:
    assert getattr(stored(signed_up_with(**{name: " \ta\n"})), name) == " \ta\n"


@pytest.mark.parametrize("name", ["user_id", "group_id"])
@pytest.mark.parametrize("number", [0, -5, 2**63, 10**254])
def test_integer_id_is_its_decimal_text(name: str, number: int) -> None:
    record = stored(signed_up_with(**{name: number}))
    assert getattr(record, name) == str(number)
    assert told(record.warnings) == {("coerced_to_text", name)}


def test_integer_id_has_at_most_255_characters() -> None:
    assert rejected(signed_up_with(user_id=10**255)).reason == "too_long"


@pytest.mark.parametrize("name", ["user_id", "group_id"])
@pytest.mark.parametrize("value", [b"1.0", b"1e5", b"0.5", b"true", b"{}", b"[]"])
def test_other_values_are_not_ids(name: str, value: bytes) -> None:
    body = b'{"event":"signed_up","timestamp":"2023-11-02","properties":{"email":"a@b"}'
    ids = b',"user_id":%b}' % value
    if name == "group_id":
        ids = b',"user_id":"u","group_id":%b}' % value
    assert told(rejected(body + ids).errors) == {("invalid_type", name)}


@pytest.mark.parametrize("value", [1.5, True, {}, []])
def test_message_id_is_text_or_an_integer(value: Any) -> None:
    rejection = rejected(signed_up_with(message_id=value))
    assert told(rejection.errors) == {("invalid_type", "message_id")}


@pytest.mark.parametrize(
    "email",
    [
        "a@b",
        "john.doe@example.com",
        "jürgen@münchen.example",
        "用户@例え.テスト",
        '"quoted"@x',
        "a+b@[192.0.2.1]",
        "x" * 252 + "@y",
        ASTRAL * 252 + "@y",
    ],
)
@pytest.mark.parametrize("name", ["email", "user_email"])
def test_email_has_one_at_between_two_texts(name: str, email: str) -> None:
    record = stored(signed_up_with(properties={name: email}))
    assert json.loads(record.properties) == {name: email}


@pytest.mark.parametrize(
    "email",
    ["", "a", "@", "a@", "@b", "a@b@c", "a@@b", "a b@c", "a@b c", " a@b", "a@b ",
     "a@b\n", "a\t@b", "a@b\r\n", "a\x7f@b", "a\x01@b", "a\x85@b", "a\x9f@b",
     "a\u00a0@b", "a@\u2028b", "a\u3000@b", "a@b\u2003", "a\u200b@b", "a@b\ufeff",
     "a\u00ad@b", "a\U000e0020@b"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["email", "user_email"])
def test_anything_else_is_no_email(name: str, email: str) -> None:
    rejection = rejected(signed_up_with(properties={name: email}))
    assert told(rejection.errors) == {("invalid_email", f"properties.{name}")}


def test_every_white_space_and_control_character_is_refused_and_no_other() -> None:
    for code in range(0x3100):
        character = chr(code)
        hidden = unicodedata.category(character) in {"Cc", "Cf"}
        refused = character.isspace() or hidden or character == "@"
        sent = signed_up_with(properties={"email": f"a{character}b@c", "name": "A"})
        verdict = judge_body(json.dumps(sent).encode())
        # A NUL becomes U+FFFD before the email is looked at.
        assert isinstance(verdict, Rejection) == (refused and code != 0), hex(code)


def test_no_invisible_character_of_any_plane_is_part_of_an_email() -> None:
    for code in range(0x3100, 0xF0000):
        if unicodedata.category(chr(code)) == "Cf":
            sent = signed_up_with(properties={"email": f"a{chr(code)}b@c"})
            assert isinstance(judge_body(json.dumps(sent).encode()), Rejection), code


def test_email_has_at_most_254_characters() -> None:
    rejection = rejected(signed_up_with(properties={"email": "x" * 253 + "@y"}))
    assert told(rejection.errors) == {("too_long", "properties.email")}
    assert "254" in rejection.errors[0].message


@pytest.mark.parametrize("properties", [{}, {"email": None, "user_email": None}])
def test_signed_up_needs_an_email(properties: dict[str, Any]) -> None:
    (error,) = rejected(signed_up_with(properties=properties)).errors
    assert error[:2] == ("missing_field", "properties.email")
    assert "`user_email`" in error.message


@pytest.mark.parametrize("properties", [{}, {"user_role": None, "role": None}])
def test_account_added_user_needs_a_role(properties: dict[str, Any]) -> None:
    (error,) = rejected(added_user_with(properties=properties)).errors
    assert error[:2] == ("missing_field", "properties.user_role")
    assert "`role`" in error.message


@pytest.mark.parametrize("name", ["user_role", "role"])
def test_role_has_1_to_255_characters(name: str) -> None:
    for role in ("x", ASTRAL * 255):
        stored(added_user_with(properties={name: role}))
    wrong = {"too_short": "", "too_long": "x" * 256, "invalid_type": 5}
    for code, value in wrong.items():
        rejection = rejected(added_user_with(properties={name: value}))
        assert told(rejection.errors) == {(code, f"properties.{name}")}


@pytest.mark.parametrize("value", [5, 1.5, True, {}, ["x"]])
@pytest.mark.parametrize(
    ("event", "name"),
    [
        *[("signed_up", name) for name in ("name", "first_name", "last_name")],
        *[("account_added_user", name) for name in ("user_name", "user_email")],
    ],
)
def test_named_property_is_text_or_null(event: str, name: str, value: Any) -> None:
    valid = signed_up_with() if event == "signed_up" else added_user_with()
    rejection = rejected(with_properties(valid, **{name: value}))
    assert told(rejection.errors) == {("invalid_type", f"properties.{name}")}
    assert "text" in rejection.errors[0].message
    stored(with_properties(valid, **{name: None}))
    stored(with_properties(valid, **{name: ""}))


def test_email_next_to_a_role_is_any_text() -> None:
    stored(with_properties(added_user_with(), user_email="none"))


@pytest.mark.parametrize("null", [True, False])
def test_missing_recommended_property_is_a_warning(*, null: bool) -> None:
    nulls = dict.fromkeys(["name", "user_name", "user_email"]) if null else {}
    record = stored(signed_up_with(properties={"user_email": "a@b", "name": None}))
    assert told(record.warnings) == {("missing_recommended", "properties.name")}
    record = stored(added_user_with(properties={"role": "x"} | nulls))
    assert told(record.warnings) == {
        ("missing_recommended", "properties.user_name"),
        ("missing_recommended", "properties.user_email"),
    }


def test_unknown_properties_and_context_are_kept_as_sent() -> None:
    kept = {"__class__": [1, 2.5], "model_config": {"a": None}, "": "", "Email": 5}
    record = stored(with_properties(signed_up_with(context=kept), **kept))
    assert json.loads(record.context) == kept
    assert json.loads(record.properties) == signed_up_with()["properties"] | kept


def test_all_errors_of_an_event_are_reported_once_for_each_place() -> None:
    rejection = rejected(
        b'{"event": "signed_up", "user_id": [], "userId": 1, "timestamp": "x",'
        b'"properties": {"email": "", "name": 1}, "context": 5, "message_id": ""}'
    )
    assert told(rejection.errors) == {
        ("conflicting_fields", "userId"),
        ("invalid_type", "user_id"),
        ("invalid_timestamp", "timestamp"),
        ("invalid_email", "properties.email"),
        ("invalid_type", "properties.name"),
        ("invalid_type", "context"),
        ("too_short", "message_id"),
    }
    places = [error.path for error in rejection.errors]
    assert len(places) == len(set(places))


def test_issue_has_code_path_and_message() -> None:
    assert Issue("a", "b", "c").as_json() == {"code": "a", "path": "b", "message": "c"}

import json
from typing import Any

import pytest

from app.pipeline.fields.placeholders import WORDS, is_placeholder
from tests.support.pipeline.verdicts import rejected, signed_up_with, stored, told

ZERO = "00000000-0000-0000-0000-000000000000"
PLACEHOLDERS = [
    *("undefined", "null", "None", "nil", "NaN", r"\N", "[object Object]", ZERO),
    *("UNDEFINED", " null ", "\tnone\n", "[OBJECT OBJECT]", "\u00a0", "   "),
    *("{{ user.id }}", "{{user_id}}", "${user.id}", " ${USER_ID} ", "{{}}", "${}"),
]
REAL = [
    *("nullable", "null-user", "undefined1", "none@example.com", "N", "n", "0", "-"),
    *("[object]", "{user}", "$user", "{{user", "user}}", "${user", "a ${user}"),
    *("00000000-0000-0000-0000-000000000001", "0" * 32, "nul", "na", "\u200b"),
]


@pytest.mark.parametrize("text", PLACEHOLDERS)
def test_placeholder_as_user_or_group_id_is_rejected(text: str) -> None:
    for name in ("user_id", "userId", "group_id"):
        gone = {"user_id": None} if name == "userId" else {}
        rejection = rejected(signed_up_with(**gone | {name: text}))
        assert told(rejection.errors) == {("placeholder_id", name)}
    in_context = rejected(signed_up_with(context={"groupId": text}))
    assert told(in_context.errors) == {("placeholder_id", "context.groupId")}


@pytest.mark.parametrize("text", PLACEHOLDERS)
def test_placeholder_as_message_id_is_ignored_with_a_warning(text: str) -> None:
    record = stored(signed_up_with(messageId=text))
    assert record.message_id is None
    assert told(record.warnings) == {("placeholder_ignored", "messageId")}
    assert record.id == stored(signed_up_with()).id
    by_header = stored(signed_up_with(), idempotency_key=text)
    assert by_header.id == record.id


@pytest.mark.parametrize("text", REAL)
def test_id_that_only_resembles_a_placeholder_is_kept(text: str) -> None:
    record = stored(signed_up_with(user_id=text, group_id=text, message_id=text))
    assert record.user_id == record.group_id == record.message_id == text
    assert record.warnings == ()


def test_placeholders_in_other_fields_are_values() -> None:
    properties = {"email": "a@b", "name": "undefined", "plan": "null"}
    record = stored(signed_up_with(properties=properties, context={"x": "None"}))
    assert json.loads(record.properties) == properties
    assert record.warnings == ()


def test_empty_id_is_an_error_of_its_own() -> None:
    assert not is_placeholder("")
    assert rejected(signed_up_with(user_id="")).reason == "too_short"


def test_words_are_in_the_form_that_they_are_compared_in() -> None:
    assert all(word == word.strip().lower() for word in WORDS)


@pytest.mark.parametrize(
    ("changes", "column", "expected"),
    [
        ({"context": []}, "context", {}),
        ({"properties": [], "event": "nope"}, None, None),
    ],
)
def test_empty_array_where_an_object_is_expected_is_an_empty_object(
    changes: dict[str, Any], column: str | None, expected: Any
) -> None:
    sent = signed_up_with(**changes)
    verdict = stored(sent) if column else rejected(sent)
    [name] = {"context", "properties"} & changes.keys()
    assert ("empty_array_as_object", name) in told(verdict.warnings)
    if column:
        assert json.loads(getattr(verdict, column)) == expected

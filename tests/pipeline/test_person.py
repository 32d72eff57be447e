"""Traces of a person in JSON values: whole words, in every form."""

from decimal import Decimal
from typing import Any
from unicodedata import normalize

import pytest

from app.pipeline.person import Person

ZOE = Person("zoë.müller/42", ["Zoe.Mueller+test@Example.com"])


@pytest.mark.parametrize(
    "value",
    [
        "zoë.müller/42",
        "signed_up:zoë.müller/42",
        normalize("NFD", "zoë.müller/42"),
        r"{\"id\": \"zo\u00eb.m\u00fcller/42\"}",
        "https://x.example/u?id=zo%C3%AB.m%C3%BCller%2F42&y=1",
        "ZOE.MUELLER+TEST@EXAMPLE.COM",
        "<zoe.mueller+test@example.com>",
        "mailto:zoe.mueller%2Btest%40example.com",
        {"zoë.müller/42": True},
        ["x", {"deep": [{"er": "zoë.müller/42"}]}],
    ],
)
def test_trace_is_found_and_redacted(value: Any) -> None:
    assert ZOE.is_in(value)
    redacted = ZOE.redact(value)
    assert not ZOE.is_in(redacted)
    assert "[erased]" in str(redacted)


@pytest.mark.parametrize(
    "value",
    ["zoë.müller/421", "xzoë.müller/42", "zoe.mueller@example.com", "", None, True, 42],
)
def test_another_value_is_left_alone(value: Any) -> None:
    assert not ZOE.is_in(value)
    assert ZOE.redact(value) == value


@pytest.mark.parametrize("value", [42, 42.0, Decimal("42.00"), "42", "u:42", [42]])
def test_numeric_id_is_found_as_number_and_text(value: Any) -> None:
    assert Person("42").is_in(value)


@pytest.mark.parametrize(
    "value", [421, 42.5, "142", "4 2", True, float("inf"), float("nan")]
)
def test_numeric_id_is_not_found_in_another_number(value: Any) -> None:
    assert not Person("42").is_in(value)


@pytest.mark.parametrize(
    ("event", "is_own"),
    [
        ({"user_id": "42"}, True),
        ({"userId": 42}, True),
        ({"user_id": "A@Example.com"}, True),
        ({"user_id": "420"}, False),
        ({"properties": {"user_id": "42"}}, False),
        ("42", False),
    ],
)
def test_event_is_owned_by_its_user(event: object, is_own: bool) -> None:  # noqa: FBT001 - a parameter of the case
    assert Person("42", ["a@example.com"]).owns(event) is is_own

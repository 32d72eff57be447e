"""Traces of a person in JSON values: whole words, in every form."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from html import escape
from typing import Any
from unicodedata import normalize
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pipeline.persons.person import Person


def escaped(text: str) -> str:
    """Each character as an escape of JSON, letters too."""
    units = text.encode("utf-16-be", "surrogatepass").hex()
    return re.sub("(....)", r"\\u\1", units)


def is_prefiltered(person: Person, text: str) -> bool:
    """Whether Postgres gives a text to the search."""
    lowered = "".join(c.lower() if c.isascii() else c for c in text)
    return re.search(person.pattern, lowered, re.DOTALL) is not None


def percent_encoded(text: str) -> str:
    """Each byte percent-encoded, those of letters too."""
    return "".join(f"%{byte:02x}" for byte in text.encode())


def html_escaped(text: str) -> str:
    """Each character by its number, as HTML."""
    return "".join(f"&#{ord(character)};" for character in text)


FORMS: list[Callable[[str], str]] = [
    str,
    json.dumps,
    lambda text: json.dumps(json.dumps(text)),
    lambda text: json.dumps(text, ensure_ascii=False),
    lambda text: quote(text, safe=""),
    lambda text: quote(quote(text)),
    quote_plus,
    percent_encoded,
    lambda text: percent_encoded(percent_encoded(text)),
    lambda text: quote(json.dumps(text), safe=""),
    lambda text: json.dumps(quote(percent_encoded(text))),
    lambda text: percent_encoded(escaped(text)),
    lambda text: normalize("NFC", text),
    lambda text: normalize("NFD", text),
]
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
        json.dumps(json.dumps(["zoë.müller/42"])),
        json.dumps("a\nzoë.müller/42"),
        json.dumps(normalize("NFD", "zoë.müller/42")),
        escaped("zoë.müller/42"),
        escaped("Zoe.Mueller+test@EXAMPLE.com"),
        "u%3Dzo%C3%AB.m%C3%BCller%2F42",
        "next=%252Fu%253Fid%253Dzo%25C3%25AB.m%25C3%25BCller%252F42",
        "%7aoe.mueller%2Btest%40example.com",
        "?e=%7Aoe.%6Duelle%72%2btest@exampl%65.com&y=1",
        "%257aoe.mueller+test%2540example.com",
        "%u007aoe.mueller+test@example.com",
        "zo%EB.m%FCller/42",
        r"%7B%22id%22%3A%22zo%5Cu00eb.m%5Cu00fcller%2F42%22%7D",
        r"\u0025\u0037\u0061oe.mueller+test@example.com",
        r"%5Cu007aoe.mueller%2Btest%40example.com",
        html_escaped("zoë.müller/42"),
        "&#x7a;o&#xeb;.m&#xfc;ller/42&lt;",
        percent_encoded(html_escaped("zoë.müller/42")),
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
        ({"properties": {"email": "A@example.com"}}, True),
        ({"user_id": None, "properties": {"user_email": "a@example.com"}}, True),
        ({"user_id": "7", "properties": {"email": "a@example.com"}}, False),
        ("42", False),
    ],
)
def test_event_is_owned_by_its_user(event: object, is_own: bool) -> None:
    assert Person("42", ["a@example.com"]).owns(event) is is_own


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ('{"a":"zoe.mueller+te', '{"a":"[erased]'),
        (r'{"a":"zo\u00eb.m\u0', '{"a":"[erased]'),
        (r'{"a":"zo\u00eb.m\\', '{"a":"[erased]'),
        (r'{"a":"zo\u00eb', r'{"a":"zo\u00eb'),
        ('{"a":"zoe.mule', '{"a":"zoe.mule'),
        ("?a=%7Ao%C3%AB.m%C3", "?a=[erased]"),
        ("?a=%7Ao%C3%AB.m%2", "?a=[erased]"),
        (r"zo\u00eb.m&#25", "[erased]"),
        ('["zoe.mueller", "b"', '["zoe.mueller", "b"'),
        ('["zoe.mueller+test@example.com","zoe.mue', '["[erased]","[erased]'),
    ],
)
def test_beginning_of_a_trace_at_the_end_of_a_cut_text_is_redacted(
    text: str, redacted: str
) -> None:
    assert ZOE.redact_cut(text) == redacted


@pytest.mark.parametrize(
    ("user_id", "redacted"),
    [
        ("1714979289", "1714979289[x-[erased]=1]"),
        ("x-1714979289", "1714979289[[erased]=1]"),
    ],
)
def test_digits_of_a_time_are_no_id(user_id: str, redacted: str) -> None:
    raw = "1714979289[x-1714979289=1]"
    assert Person(user_id).redact_timestamp(raw) == redacted


@pytest.mark.parametrize("form", FORMS)
def test_backslashes_in_a_row_are_found(form: Callable[[str], str]) -> None:
    name = r"a\\\b"
    assert Person(name).is_in(form(name))


@pytest.mark.timeout(5)
def test_long_run_of_backslashes_is_read_in_a_short_time() -> None:
    run = "\\" * 128 * 1024
    assert not ZOE.is_in(run)
    assert not Person("\\\\\\\\x").is_in(run)
    written = "u007aoë.müller/42"
    assert ZOE.redact_cut(f"{run}{written}") == f"{run}{written}"
    assert ZOE.redact_cut(f"{run[:128]}{written}") == "[erased]"


@pytest.mark.timeout(5)
@pytest.mark.parametrize(
    "unit", ["%25", "%41", "%", r"\\u0025", "&#37;", "&amp;", "z%6f"]
)
def test_long_run_of_escapes_is_read_in_a_short_time(unit: str) -> None:
    run = unit * (128 * 1024 // len(unit))
    assert ZOE.redact_cut(run) == run
    assert ZOE.redact(f"{run} %7aoë.müller/42 {run}") == f"{run} [erased] {run}"


@given(text=st.text(min_size=1, max_size=20), form=st.sampled_from(FORMS))
def test_every_form_of_any_id_is_found_and_prefiltered(
    text: str, form: Callable[[str], str]
) -> None:
    person = Person(text)
    written = f"<{form(text)}>"
    assert person.is_in(written)
    assert is_prefiltered(person, written)


_NUMERIC = "".join(f"&#{ord(character)};" for character in "zoe@x.example")


@pytest.mark.parametrize(
    "text",
    [
        quote(_NUMERIC, safe=""),
        escape(_NUMERIC),
        quote(escape(_NUMERIC), safe=""),
        "%25u007aoe%40x.example",
    ],
)
def test_nested_escapes_are_found_and_prefiltered(text: str) -> None:
    person = Person("zoe", ["zoe@x.example"])
    assert person.is_in(text)
    assert is_prefiltered(person, text)

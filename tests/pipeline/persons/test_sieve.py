"""The quick first look: it may keep bytes without a trace, and never drops one."""

import json
import re
import sys
from collections.abc import Callable
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pipeline.persons.person import Person
from app.store.journal.codec import encode_entry
from tests.pipeline.persons.test_person import FORMS, ZOE, html_escaped
from tests.support.pipeline import persons
from tests.support.store.entries import record, rejection

KNOWN = Person(persons.ID, [persons.EMAIL, persons.EMAIL_2])
SEPARATORS = "\"\\/&<>';%+ -_.:@\n\t"
NAMES = st.one_of(
    st.text(min_size=1, max_size=20),
    st.text("ab1" + SEPARATORS, min_size=1, max_size=8),
)


@given(
    name=NAMES, form=st.sampled_from(FORMS), around=st.sampled_from(SEPARATORS + "é")
)
def test_every_form_of_any_name_passes(
    name: str, form: Callable[[str], str], around: str
) -> None:
    person = Person(name)
    for text in (form(f"{around}{name}{around}"), f"{around}{form(name)}{around}"):
        encoded = json.dumps(json.dumps(text))
        # A backslash of the name and an escape after it may be read as another escape.
        assert person.may_be_in(encoded.encode()) or not person.is_in(encoded)


@pytest.mark.parametrize("value", [e.event for e in persons.MENTIONS.values()])
def test_mention_in_a_journal_entry_passes(value: Any) -> None:
    if isinstance(value, bytes):
        value = json.loads(value)
    entry = encode_entry(rejection(note=value))
    for person in (KNOWN, Person(persons.NUMBER)):
        if person.is_in(entry.decode()):
            assert person.may_be_in(entry)


@pytest.mark.parametrize(
    "value",
    [
        "42",
        42,
        42.0,
        "\n42",
        "42\n",
        "é42",
        "a/42",
        "%2042",
        {"42": 1},
        html_escaped("42"),
    ],
)
def test_numeric_id_next_to_an_escape_passes(value: Any) -> None:
    entry = encode_entry(record(note=value))
    assert Person("42").may_be_in(entry)


@pytest.mark.parametrize(
    "text",
    [
        "zoe%31",
        "zoe%2531",
        r"zoe\u0031",
        r"zoe%5Cu0031",
        r"zoe\u002531",
        r"zoe\u005cu0031",
        r"zoe\u0026#49;",
        "zoe%26#49;",
        "zoe&amp;#49;",
        "zoe&amp%3B%2349;",
    ],
)
def test_escaped_digit_of_a_name_passes(text: str) -> None:
    person = Person("zoe1")
    encoded = json.dumps(json.dumps(text))
    assert person.is_in(encoded)
    assert person.may_be_in(encoded.encode())


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("number", ["1e+16", "10000000000000000"])
def test_long_number_in_either_form_passes(sign: str, number: str) -> None:
    event = f'{{"user_id":{sign}{number}}}'
    person = Person(f"{sign}10000000000000000")
    assert person.owns(json.loads(event))
    assert person.may_be_in(event.encode())
    assert re.search(person.pattern, event)  # the search of Postgres


def test_every_lookalike_of_a_letter_passes() -> None:
    """A user id is compared normalised, an address without regard to case."""
    letter = re.compile("[0-9A-Za-z]")
    found = 0
    for character in map(chr, range(0x80, sys.maxunicode + 1)):
        normal = normalize("NFC", character)
        if letter.search(normal + normal.casefold()):
            found += 1
            assert ZOE.may_be_in(json.dumps(character).encode()), hex(ord(character))
    assert found > 10


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("42", "142 421 x42 42x 2042"),
        ("user-17", "user-171 user-1 17"),
        ("zoe@x.example", "zoe@y.example x.example"),
        ("zoe", "?next=%2Fx%3Fa%3D1%26b%3D2%2520 &amp; it&#39;s \\u00fc 李"),
        ("zoë", "Zwölf für 100%20 &amp; mehr: https%3A%2F%2Fx.example%2F%C3%BC"),
    ],
)
def test_other_text_is_dropped(name: str, text: str) -> None:
    assert not Person(name).may_be_in(json.dumps(json.dumps(text)).encode())


@pytest.mark.timeout(10)
@pytest.mark.parametrize("unit", ["a", "a-", "a\\", "a%", "-\\", "42", "a\\a\\"])
def test_long_text_is_judged_in_a_short_time(unit: str) -> None:
    content = unit.encode() * (128 * 1024 // len(unit))
    for name in ("a-b-c-d-x", "a\\b\\c\\x", "42", "a@a.a.a.x"):
        Person(name).may_be_in(content)

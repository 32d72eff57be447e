import copy
import math
from math import isfinite
from typing import Any

import pytest
from hypothesis import example, given

from app.pipeline.fields.sanitize import (
    MAX_PATH,
    MAX_WARNINGS,
    Sanitizer,
    is_storable,
    join_path,
    replace_unstorable,
)
from app.pipeline.json_decode import OutOfRangeNumber
from app.pipeline.json_encode import encode_exactly, encode_plain
from tests.support.pipeline.json_strategies import odd_values, plain_values
from tests.support.pipeline.verdicts import leaves, told


def mend(value: Any) -> tuple[Any, Sanitizer]:
    repair = Sanitizer()
    return repair.clean(value, "properties"), repair


@given(plain_values())
def test_storable_value_is_unchanged(value: Any) -> None:
    mended, repair = mend(value)
    assert repr(mended) == repr(value)
    assert repair == Sanitizer()


@given(odd_values())
@example({"a": [float("nan"), {"\0": "\ud800"}]})
def test_sanitized_value_is_storable_and_the_input_is_unchanged(
    value: Any,
) -> None:
    before = encode_exactly(copy.deepcopy(value))
    mended, repair = mend(value)
    assert encode_exactly(value) == before
    assert all(
        "\0" not in leaf and leaf.encode() if isinstance(leaf, str) else isfinite(leaf)
        for leaf in leaves(mended)
        if leaf != ""
    )
    assert mended == Sanitizer().clean(mended, "properties"), "mended in one go"
    changed = encode_exactly(mended) != before
    assert changed == bool(repair.warnings)


@given(odd_values())
@example(2**64 - 1)
@example(-(2**63))
@example(2**64)
@example(-(2**63) - 1)
@example([{"a": "\ud800"}])
@example("\0")
def test_odd_values_need_the_exact_encoder(value: Any) -> None:
    _, repair = mend(value)
    odd = any(
        "\0" in leaf if isinstance(leaf, str) else not isfinite(leaf)
        for leaf in leaves(value)
    )
    try:
        encode_plain(value)
    except TypeError:
        odd = True
    assert repair.needs_exact_encoding == odd


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_number_that_is_not_finite_becomes_null(number: float) -> None:
    mended, repair = mend({"a": [1, number]})
    assert mended == {"a": [1, None]}
    assert told(repair.warnings) == {("non_finite_number", "properties.a[1]")}
    assert repair.errors == []
    assert repair.needs_exact_encoding


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("\0", "\ufffd"),
        ("a\0b\0", "a\ufffdb\ufffd"),
        ("\ud800", "\ufffd"),
        ("\udc00\ud800", "\ufffd\ufffd"),
        ("x\udfff", "x\ufffd"),
    ],
)
def test_character_that_postgres_refuses_becomes_the_replacement(
    text: str, mended: str
) -> None:
    assert not is_storable(text)
    assert replace_unstorable(text) == mended
    result, repair = mend([text])
    assert result == [mended]
    assert told(repair.warnings) == {("character_replaced", "properties[0]")}


@pytest.mark.parametrize("text", ["", "\x01", "\ufffd", "\ufffe", "\U0010ffff", "\x7f"])
def test_every_other_character_is_kept(text: str) -> None:
    assert is_storable(text)
    assert replace_unstorable(text) == text


def test_keys_are_sanitized_like_values() -> None:
    mended, repair = mend({"a\0": {"b\ud800": 1}})
    assert mended == {"a\ufffd": {"b\ufffd": 1}}
    assert told(repair.warnings) == {
        ("character_replaced", "properties.a\ufffd"),
        ("character_replaced", "properties.a\ufffd.b\ufffd"),
    }


@pytest.mark.parametrize("other", ["a\ud800", "a" + chr(0xFFFD)])
@pytest.mark.parametrize("reverse", [False, True])
def test_keys_that_become_equal_are_an_error(other: str, *, reverse: bool) -> None:
    keys = ["a\0", other]
    _, repair = mend({"deep": [dict.fromkeys(reversed(keys) if reverse else keys, 1)]})
    assert told(repair.errors) == {("duplicate_key", "properties.deep[0].a\ufffd")}


def test_number_out_of_range_is_an_error() -> None:
    _, repair = mend({"a": [OutOfRangeNumber("1e400")]})
    assert told(repair.errors) == {("number_out_of_range", "properties.a[0]")}
    assert "1e400" not in repair.errors[0].message


def test_big_integers_are_kept_exactly() -> None:
    mended, repair = mend([10**999, -(2**63) - 1])
    assert mended == [10**999, -(2**63) - 1]
    assert repair.warnings == repair.errors == []
    assert repair.needs_exact_encoding


@pytest.mark.parametrize(
    ("odd", "code"),
    [
        (math.nan, "non_finite_number"),
        ("\0", "character_replaced"),
        (OutOfRangeNumber("1e400"), "number_out_of_range"),
    ],
)
def test_remarks_of_one_code_are_bounded_and_the_last_says_so(
    odd: Any, code: str
) -> None:
    _, few = mend([odd] * (MAX_WARNINGS - 1))
    assert not any("No further" in issue.message for issue in few.warnings)
    _, many = mend([*[odd] * 1_000, math.nan if odd == "\0" else "\0"])
    issues = [r for r in many.warnings + many.errors if r.code == code]
    assert len(issues) == MAX_WARNINGS == 16
    assert "No further" in issues[-1].message
    assert "No further" not in issues[-2].message
    assert len({r.code for r in many.warnings + many.errors}) == 2


def test_key_in_a_path_is_cut_and_can_be_shown() -> None:
    assert join_path("a", "b" * 1_000) == "a." + "b" * 64
    assert (
        join_path("a", "x\0\n\x1b\ud800\x85y\u00a0") == "a.x" + "\ufffd" * 5 + "y\ufffd"
    )
    assert join_path("a", "é😀 b") == "a.é😀 b"


def test_issues_of_a_deep_event_stay_small() -> None:
    deep: Any = "\0"
    for _ in range(60):
        deep = {"k" * 64: deep}
    _, repair = mend(deep)
    assert [len(issue.path) for issue in repair.warnings] == [MAX_PATH]

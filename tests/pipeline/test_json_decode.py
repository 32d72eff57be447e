import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.pipeline.json_decode import (
    MAX_BODY_DEPTH,
    MAX_INTEGER_DIGITS,
    Decoded,
    OutOfRangeNumber,
    decode,
    depth_of,
    has_more_values,
)
from app.pipeline.json_encode import encode_exactly
from app.request_errors import InvalidJsonError
from tests.support.pipeline.json_strategies import json_texts, plain_values


def read(body: bytes) -> Decoded:
    return decode(body, max_depth=64)


def refusal(body: bytes) -> str:
    with pytest.raises(InvalidJsonError) as caught:
        read(body)
    return caught.value.detail


def same(one: Any, other: Any) -> bool:
    """Equal in value and in type, all the way down; NaN equals NaN, 0.0 not -0.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, Decimal):
        return bool(one == other)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return repr(one) == repr(other)


@given(json_texts())
@example("[-0, -0.0, 0, 1E5, 1e-400, 5e-324, 1.7976931348623157e308]")
@example("[9223372036854775807, 9223372036854775808, 18446744073709551615]")
@example("[-9223372036854775808, -9223372036854775809, 18446744073709551616]")
@example("[123456789012345678.5, 0.1234567890123456789012]")
@example('{"a": 1, "a": 2, "b": {"a": 1, "a": null}}')
def test_fast_and_the_exact_parser_agree(text: str) -> None:
    alone = read(text.encode()).value
    # A NUL anywhere in the body leaves all of it to the exact one.
    beside = read(rf'["\u0000",{text}]'.encode())
    assert not beside.plain
    assert same(alone, beside.value[1])


@given(plain_values())
def test_storable_json_reads_as_written(value: Any) -> None:
    assert same(read(json.dumps(value).encode()).value, value)


@given(
    st.one_of(
        st.binary(), st.text('[]{}",:0123eE.+-\\u truefalsnNaI\0 é').map(str.encode)
    )
)
@example(b"\xff")
@example(b"\xed\xa0\x80")
@example(b"\x00")
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
def test_bytes_are_read_or_refused_with_one_error(body: bytes) -> None:
    detail = None
    try:
        read(body)
    except InvalidJsonError as error:
        detail = error.detail
    assert detail is None or "line" in detail or "levels" in detail


@pytest.mark.parametrize(
    "text",
    [
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "-9223372036854775809",
        "1" * MAX_INTEGER_DIGITS,
        "-" + "1" * MAX_INTEGER_DIGITS,
    ],
)
def test_integers_of_up_to_a_thousand_digits_are_exact(text: str) -> None:
    value = read(f"[{text}]".encode()).value[0]
    assert type(value) is int
    assert str(value) == text


@pytest.mark.parametrize(
    "text",
    [
        "1" * (MAX_INTEGER_DIGITS + 1),
        "-" + "1" * (MAX_INTEGER_DIGITS + 1),
        "1e309",
        "-1e309",
        "1.8e308",
        "1e131071",
    ],
)
def test_number_beyond_double_and_integer_is_kept_as_text(text: str) -> None:
    decoded = read(f"[{text}]".encode())
    assert decoded.value == [OutOfRangeNumber(text)]
    assert str(decoded.value[0]) == text
    assert not decoded.plain


@pytest.mark.parametrize(
    "text",
    [
        *("1e308", "1.7976931348623157e308", "-0.0", "5e-324", "1E5", "0e-400"),
        *("0.8444218515250481", "123456789.01234567", "100000000000000000000.0"),
    ],
)
def test_number_that_a_double_says_exactly_is_a_double(text: str) -> None:
    decoded = read(text.encode())
    assert decoded.plain
    assert same(decoded.value, float(text))


def test_small_decimal_is_found_behind_a_text_that_looks_like_an_exponent() -> None:
    decoded = read(b'["e-0", "fe-1", 4e-10, 1e-400]')
    assert not decoded.plain
    assert decoded.value == ["e-0", "fe-1", 4e-10, Decimal("1e-400")]


def digits_of(number: Any) -> Decimal:
    assert type(number) in {float, Decimal}
    return Decimal(repr(number) if isinstance(number, float) else number)


@given(
    st.from_regex(
        r"-?(0|[1-9][0-9]{0,25})\.[0-9]{1,30}([eE][-+]?[0-9]{1,3})?", fullmatch=True
    )
)
@example("9007199254740993.0")
@example("12345678901234567890.123456789")
@example("1e-400")
@example("1.5e-320")
@example("2.2250738585072014e-308")
@example("0.1234567890123456789012")
@example("123456789012345e-310")
@example("-0.30000000000000004")
@example("0." + "3" * 5_000)
def test_decimal_keeps_every_digit(text: str) -> None:
    value = read(f'{{"a":[{text}]}}'.encode()).value["a"][0]
    if isinstance(value, OutOfRangeNumber):
        assert abs(Decimal(text)) > Decimal("1.79e308")
    else:
        assert digits_of(value) == Decimal(text)
        assert Decimal(encode_exactly(value)) == Decimal(text)


@pytest.mark.parametrize(
    "text", ["1e400", "-1e999999999999999999999", "1e-1001", "1e-99999999999999999999"]
)
def test_number_that_no_double_approximates_is_out_of_range(text: str) -> None:
    assert read(text.encode()).value == OutOfRangeNumber(text)


def test_decimal_of_more_digits_than_postgres_holds_is_out_of_range() -> None:
    assert isinstance(read(b"0." + b"1" * 16_384).value, OutOfRangeNumber)
    assert isinstance(read(b"0." + b"1" * 16_383).value, Decimal)


@pytest.mark.parametrize(
    "text", ['"12345678901234567890"', '"1698885008276543210"', "1698885008276543210"]
)
def test_digits_in_a_text_and_long_integers_leave_the_body_to_the_fast_parser(
    text: str,
) -> None:
    decoded = read(f'{{"id": {text}, "at": "2023-11-02T00:30:08.276Z"}}'.encode())
    assert decoded.plain
    assert json.dumps(decoded.value["id"]) == text


def test_invalid_json_of_sdks_is_read() -> None:
    decoded = read(rb'[NaN,Infinity,-Infinity,"\u0000","\ud800","\udc00\ud800"]')
    not_a_number, *rest = decoded.value
    assert math.isnan(not_a_number)
    assert rest == [math.inf, -math.inf, "\0", "\ud800", "\udc00\ud800"]
    assert not decoded.plain


@pytest.mark.parametrize(
    ("body", "plain"),
    [
        (b'{"a":[1,"x",null,true,1.5,18446744073709551615]}', True),
        (b'{"a":[1,"x",null,true,1.5,999999999999999999]}', True),
        ('{"é":"\U0001f600"}'.encode(), True),
        (rb'{"a":"\ud83d\ude00"}', True),
        (rb'{"a\u0000":1}', False),
        (rb'{"\ud800":1}', False),
    ],
)
def test_body_is_plain_when_all_of_it_can_be_stored(body: bytes, plain: bool) -> None:
    assert read(body).plain is plain


def test_last_of_repeated_keys_wins() -> None:
    assert read(b'{"a":1,"b":2,"a":3}').value == {"a": 3, "b": 2}
    assert read(b'{"a":NaN,"b":2,"a":3}').value == {"a": 3, "b": 2}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "Expecting value at line 1, column 1."),
        (b" \n ", "Expecting value at line 2, column 2."),
        (
            b"{",
            "Expecting property name enclosed in double quotes at line 1, column 2.",
        ),
        (b"[1,\n  2,\n  x]", "Expecting value at line 3, column 3."),
        ('{"é": "ü" 1}'.encode(), "Expecting ',' delimiter at line 1, column 11."),
        (b'{"a": "b', "Unterminated string starting at line 1, column 7."),
        (b'"\x01"', "Invalid control character at line 1, column 2."),
        (b"{} {}", "Extra data at line 1, column 4."),
        (b"[-NaN]", "Expecting value at line 1, column 2."),
        (b"[nan]", "Expecting value at line 1, column 2."),
        (b'{"a":\n "\xff"}', "The body is not UTF-8 at line 2, column 3."),
        (b'["\xc3\xa9\xed\xa0\x80"]', "The body is not UTF-8 at line 1, column 4."),
        (b'"\xc0\x80"', "The body is not UTF-8 at line 1, column 2."),
        ('{"a":1}'.encode("utf-16"), "The body is not UTF-8 at line 1, column 1."),
    ],
)
def test_refusal_names_line_and_column(body: bytes, expected: str) -> None:
    assert refusal(body) == expected


@pytest.mark.parametrize("body", [b"{}", b"[NaN]", rb'"\u0000"'])
def test_leading_byte_order_mark_is_skipped(body: bytes) -> None:
    assert repr(read(b"\xef\xbb\xbf" + body)) == repr(read(body))


def test_refusal_never_contains_the_payload() -> None:
    assert "s3cret" not in refusal(b'{"password": "s3cret" oops}')


@pytest.mark.parametrize(("start", "end"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_json_of_1000_levels_is_read_and_of_1001_refused(
    start: bytes, end: bytes
) -> None:
    def nested(levels: int) -> bytes:
        return start * levels + b"1" + end * levels

    decoded = read(nested(MAX_BODY_DEPTH))
    assert decoded.deep
    assert depth_of(decoded.value) == MAX_BODY_DEPTH - 1
    assert "1000 levels" in refusal(nested(MAX_BODY_DEPTH + 1))


def test_deep_bodies_with_oddities_are_read_exactly_too() -> None:
    def nested(levels: int) -> bytes:
        return b"[" * levels + b"NaN" + b"]" * levels

    decoded = read(nested(MAX_BODY_DEPTH))
    assert depth_of(decoded.value) == MAX_BODY_DEPTH - 1
    assert "1000 levels" in refusal(nested(MAX_BODY_DEPTH + 1))
    assert "1000 levels" in refusal(nested(100 * MAX_BODY_DEPTH))


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (b"[1, 2, 3]", 3),
        (b'{"a": {"b": 1, "c": [2]}}', 4),
        (b"[[], {}]", 4),
        (b'{"a": "[{,[{,", "b": "\\"[,[,", "c": "\\\\", "d": "\n,,"}', 4),
        (b'["' + b"," * 1_000_000 + b'"]', 1),
        (b'["' + b'\\"[' * 1_000_000 + b'"]', 1),
    ],
)
def test_values_are_counted_outside_of_texts(body: bytes, count: int) -> None:
    assert not has_more_values(body, count)
    assert has_more_values(body, count - 1)


@pytest.mark.parametrize(
    ("levels", "deep"), [(1, False), (64, False), (65, True), (66, True)]
)
def test_body_may_be_deep_enough_for_deep_events(levels: int, deep: bool) -> None:
    # The outermost container may be the event itself, which is no level inside it.
    assert read(b"[" * levels + b"]" * levels).deep is deep


@pytest.mark.parametrize(
    ("value", "depth"),
    [
        ({}, 0),
        ({"a": 1, "b": "[[["}, 0),
        ([[]], 1),
        ({"a": {}, "b": [[1], {}]}, 2),
        ([1, [2, [3, [4]]], [5]], 3),
    ],
)
def test_depth_counts_containers_within_the_outermost(value: Any, depth: int) -> None:
    assert depth_of(value) == depth


def test_many_containers_side_by_side_are_no_deep_body() -> None:
    assert depth_of(read(b"[" + b",".join([b"[]"] * 5_000) + b"]").value) == 1


def test_public_test_suite_is_read_as_required(corpora: Path) -> None:
    """`y_` is read, `n_` is refused (except values that SDKs send), `i_` is either."""
    files = sorted((corpora / "JSONTestSuite" / "test_parsing").glob("*.json"))
    verdicts: dict[str, Decoded | None] = {}
    for file in files:
        try:
            verdicts[file.name] = read(file.read_bytes())
        except InvalidJsonError:
            verdicts[file.name] = None
    assert {k for k, v in verdicts.items() if k.startswith("y_") and v is None} == set()
    assert {k for k, v in verdicts.items() if k.startswith("n_") and v is not None} == {
        "n_number_NaN.json",
        "n_number_infinity.json",
        "n_number_minus_infinity.json",
    }
    assert [
        sum(k.startswith(kind) for k in verdicts) for kind in ("y_", "n_", "i_")
    ] == [95, 188, 35]
    for file in files:
        decoded = verdicts[file.name]
        if file.name.startswith("y_") and decoded is not None:
            assert same(decoded.value, json.loads(file.read_bytes())), file.name


def test_brackets_in_texts_do_not_hide_the_depth() -> None:
    body = b'["]",' * 100 + b"1" + b',"["]' * 100
    assert read(body).deep

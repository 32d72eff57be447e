import json
from typing import Any

import pytest
from hypothesis import example, given

from app.pipeline.json_decode import Decoded, OutOfRangeNumber, decode
from app.pipeline.json_encode import encode_exactly, encode_plain
from tests.support.pipeline.json_strategies import json_texts, odd_values, plain_values
from tests.support.pipeline.verdicts import leaves


def read(body: bytes) -> Decoded:
    return decode(body, max_depth=64)


def nested(levels: int, innermost: Any) -> Any:
    value = innermost
    for level in range(levels):
        value = {"a": value} if level % 2 else [value]
    return value


@given(plain_values())
@example({"b": [1, 1.0, -0.0, 1e16, 5e-324], "a": {"é": "\U0001f600"}})
def test_plain_values_come_back_as_they_were(value: Any) -> None:
    text = encode_plain(value)
    assert repr(json.loads(text)) == repr(_sorted(value))
    assert text == encode_plain(_sorted(value))


@given(odd_values())
@example([float("nan"), float("inf"), -float("inf"), 10**1000])
@example({"\0": "\ud800", "a\udfff": 10**999})
def test_odd_values_come_back_as_they_were(value: Any) -> None:
    text = encode_exactly(value)
    assert text.isascii()
    # repr, because a NaN is unlike itself; and sorted, as the encoder sorts.
    again = read(text.encode()).value
    assert encode_exactly(again) == text
    assert repr(again) == repr(_out_of_range(_sorted(value)))


@given(json_texts())
@example('{"a": 1e400, "b": [-1e999, NaN], "c": {"\\u0000": "\\ud800"}}')
def test_decoded_json_can_be_encoded(text: str) -> None:
    value = read(text.encode()).value
    once = encode_exactly(value)
    # Encoded once more, because a decimal has several forms of one value.
    assert encode_exactly(read(once.encode()).value) == once
    assert list(map(type, leaves(read(once.encode()).value))) == list(
        map(type, leaves(_sorted(value)))
    )
    assert "\n" not in once


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("nan"), "NaN"),
        (-float("inf"), "-Infinity"),
        (OutOfRangeNumber("1e400"), "1e400"),
        (
            [OutOfRangeNumber("-1e400"), {"b": None, "a": True}],
            '[-1e400,{"a":true,"b":null}]',
        ),
        ([OutOfRangeNumber("1e400"), [], {}, [[]], ""], '[1e400,[],{},[[]],""]'),
        ("\ud800\0é", r'"\ud800\u0000\u00e9"'),
        ({"é": [1, 1.0, "x"]}, r'{"\u00e9":[1,1.0,"x"]}'),
    ],
)
def test_values_beyond_json_are_written_as_sent(value: Any, text: str) -> None:
    assert encode_exactly(value) == text


@given(odd_values())
def test_both_encoders_give_the_same_text(value: Any) -> None:
    # A number out of range beside it leaves all of it to the second way.
    beside = encode_exactly([OutOfRangeNumber("1e400"), value])
    assert beside == f"[1e400,{encode_exactly(value)}]"


def test_depth_is_no_limit() -> None:
    deep = nested(1_000, OutOfRangeNumber("1e400"))
    text = encode_exactly(deep)
    assert text.startswith('{"a":[{"a":[')
    assert text.count("1e400") == 1
    assert len(text) == 500 * len('{"a":[]}') + len("1e400")
    assert encode_exactly(nested(1_000, 1)).count("1") == 1


def test_keys_are_sorted_at_every_level() -> None:
    value = {"b": {"z": 1, "y": [{"d": 1, "c": 2}]}, "a": 0}
    text = '{"a":0,"b":{"y":[{"c":2,"d":1}],"z":1}}'
    assert encode_plain(value).decode() == encode_exactly(value) == text


@pytest.mark.parametrize("value", ["\ud800", {"\udfff": 1}, 2**64, -(2**63) - 1])
def test_plain_encoder_refuses_unsupported_values(value: Any) -> None:
    with pytest.raises(TypeError):
        encode_plain([value])


def test_plain_encoder_writes_utf_8() -> None:
    assert encode_plain({"é": "\U0001f600\x7f"}) == '{"é":"\U0001f600\x7f"}'.encode()


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(inner) for inner in value]
    return value


def _out_of_range(value: Any) -> Any:
    """Integers of over 1,000 digits as they are decoded."""
    if isinstance(value, dict):
        return {key: _out_of_range(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_out_of_range(inner) for inner in value]
    if type(value) is int and abs(value) >= 10**1000:
        return OutOfRangeNumber(str(value))
    return value

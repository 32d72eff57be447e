import io
import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from app.cli.input.json_reader import JsonReader
from tests.support.pipeline.json_strategies import json_texts

LIMIT = 10_000


class Trickle(io.BytesIO):
    """A stream that gives a few bytes at a time, as a pipe may."""

    def __init__(self, content: bytes, portion: int) -> None:
        super().__init__(content)
        self.portion = portion

    @override
    def read1(self, size: int | None = -1, /) -> bytes:
        del size
        return self.read(self.portion)


def elements(
    content: bytes, *, limit: int = LIMIT, portion: int = 7
) -> Iterator[tuple[int, bytes | None]]:
    return JsonReader(Trickle(content, portion), max_bytes=limit).values()


@given(texts=st.lists(json_texts(), max_size=5), portion=st.integers(1, 40))
def test_elements_are_the_json_between_the_commas(
    texts: list[str], portion: int
) -> None:
    content = f" [{','.join(texts)}]\n ".encode("utf-8", "surrogatepass")

    found = list(elements(content, portion=portion))

    assert [text for _, text in found] == [
        text.strip(" \t\r\n").encode("utf-8", "surrogatepass") for text in texts
    ]


@given(
    values=st.lists(st.recursive(st.text(), st.lists, max_leaves=5), max_size=5),
    portion=st.integers(1, 40),
)
def test_elements_have_the_line_that_they_begin_in(
    values: list[object], portion: int
) -> None:
    content = json.dumps(values, indent=1).encode()

    for (line, _), value in zip(
        elements(content, portion=portion), values, strict=True
    ):
        text = json.dumps(value, indent=1).encode().split(b"\n")[0]
        assert content.split(b"\n")[line - 1].lstrip().startswith(text)


@pytest.mark.parametrize("portion", [1, 7, 1000])
@pytest.mark.parametrize("filling", [b"x", b'\\"', b"]", b"\\\\", b"\n"])
def test_element_that_is_too_long_leaves_others_readable(
    filling: bytes, portion: int
) -> None:
    long = b'{"a": ["' + filling * 200 + b'", {"b": "' + filling * 200 + b'"}]}'
    content = b'["before",\n' + long + b',\n"after"]'
    lines_in_it = long.count(b"\n")

    found = list(elements(content, limit=100, portion=portion))

    assert found == [(1, b'"before"'), (2, None), (3 + lines_in_it, b'"after"')]


@pytest.mark.parametrize("length", [99, 100, 101])
def test_limit_excludes_space_around_the_element(length: int) -> None:
    element = b'"' + b"x" * (length - 2) + b'"'

    content = b"[" + b"\n" * 200 + element + b",  1]"
    found = list(elements(content, limit=100, portion=70))

    assert found[1] == (201, b"1")
    assert found[0] == (201, element if length <= 100 else None)


@pytest.mark.parametrize(
    ("content", "whole", "line"),
    [
        (b'[{"a": 1},\n{"b": 2}', [b'{"a": 1}'], 2),
        (b'[{"a": 1},\n{"b": "2]', [b'{"a": 1}'], 2),
        (b"[1}\n", [b"1"], 1),
        (b'{"a": 1}\n{"b": [1,', [b'{"a": 1}'], 2),
        (b'[{"a": 1]}', [b'{"a": 1]'], 1),
        (b"[", [], 1),
    ],
)
def test_value_that_breaks_off_leaves_those_before_it(
    content: bytes, whole: list[bytes], line: int
) -> None:
    array = JsonReader(Trickle(content, 7), max_bytes=LIMIT)
    found = array.values()
    for text in whole:
        assert next(found)[1] == text

    with pytest.raises(ValueError, match=r"The (array|object)"):
        next(found)

    assert array.line == line


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"[]", []), (b"[ \n ]", []), (b"[,]", [b"", b""]), (b"[1,]", [b"1", b""])],
)
def test_missing_element_is_empty(content: bytes, expected: list[bytes]) -> None:
    assert [text for _, text in elements(content)] == expected


@pytest.mark.parametrize("portion", [1, 7, 1000])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"a": 1}{"b": 2}', [(1, b'{"a": 1}'), (1, b'{"b": 2}')]),
        (b'{\n"a": 1\n}\n\n{"b":\n2}\n', [(1, b'{\n"a": 1\n}'), (5, b'{"b":\n2}')]),
        (b"[1, [2]]\n[3]", [(1, b"1"), (1, b"[2]"), (2, b"3")]),
        (b'[{"a": 1}] {"b": "]}"}', [(1, b'{"a": 1}'), (1, b'{"b": "]}"}')]),
        (b'\x1e{"a": 1}\n\x1e{"b": 2}\n', [(1, b'{"a": 1}'), (2, b'{"b": 2}')]),
        (b'{"a": 1}\nnonsense\n{"b": 2}', [(1, b'{"a": 1}'), (2, b"nonsense")]),
        (b'{"a": 1]}\n[2]', [(1, b'{"a": 1]'), (1, b"}"), (2, b"2")]),
        (b"  \n ", []),
    ],
)
def test_values_may_follow_each_other(
    content: bytes, expected: list[tuple[int, bytes]], portion: int
) -> None:
    found = list(elements(content, portion=portion))

    assert found[: len(expected)] == expected


@pytest.mark.parametrize("portion", [1, 7, 1000])
def test_object_that_is_too_long_leaves_others_readable(portion: int) -> None:
    content = b'{"a": 1}\n{"b": "' + b"}x" * 200 + b'"}\n' + b"y" * 300 + b'\n{"c": 2}'

    found = list(elements(content, limit=100, portion=portion))

    assert found == [(1, b'{"a": 1}'), (2, None), (3, None), (4, b'{"c": 2}')]

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli.input.items import BlankItem, DecodedItem, UnreadableItem
from app.errors import ConfigurationError
from app.pipeline.json_decode import OutOfRangeNumber
from tests.support.cli.csv_rows import announced, read, values
from tests.support.pipeline.verdicts import POLICY

MAPS = ("user_id=uid", "properties.email=mail", "context.app.name=app")


def test_mapping_places_cells_and_omits_empty_ones() -> None:
    content = b"mail,uid,app\na@b.c,u1,web\n,u2,\n"

    assert values(read(content, MAPS, ["event=signed_up"])) == [
        {
            "event": "signed_up",
            "user_id": "u1",
            "properties": {"email": "a@b.c"},
            "context": {"app": {"name": "web"}},
        },
        {"event": "signed_up", "user_id": "u2", "properties": {}},
    ]


def test_column_named_like_a_field_needs_no_map() -> None:
    content = b"user_id,properties.email,context.x.y,event,other\nu,a@b.c,1,,o\n"
    announced.clear()

    assert values(read(content, [])) == [
        {
            "user_id": "u",
            "properties": {"email": "a@b.c"},
            "context": {"x": {"y": "1"}},
        }
    ]
    assert announced == ["Columns not used: other."]


def test_options_outrank_the_header() -> None:
    content = b"event,user_id,uid\nlater,a,b\n"

    found = values(read(content, ["user_id=uid"], ["event=signed_up"]))

    assert found == [{"event": "signed_up", "user_id": "b", "properties": {}}]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_rows_have_the_line_that_they_begin_in(ending: bytes) -> None:
    rows = [b"user_id,properties.name", b'a,"x', b'y"', b"", b"b", b'c,""', b'd,"e"f']

    found = list(read(ending.join(rows), []))

    assert [each.line for each in found] == [2, 4, 5, 6, 7]
    kinds = [DecodedItem, BlankItem, UnreadableItem, DecodedItem, UnreadableItem]
    assert [type(each) for each in found] == kinds
    first = found[0]
    assert isinstance(first, DecodedItem)
    assert first.value["properties"]["name"] == f"x{ending.decode()}y"
    assert found[2] == UnreadableItem(5, "The row has 1 cells, the header 2.")


def test_row_that_is_not_utf_8_leaves_other_rows_readable() -> None:
    content = b"user_id\ncaf\xc3\xa9\ncaf\xe9\nlast\n"

    found = values(read(content, []))

    assert [each["user_id"] for each in (found[0], found[2])] == ["caf\xe9", "last"]
    assert found[1] == UnreadableItem(3, "The row is not UTF-8.")


@pytest.mark.parametrize("text", ["a", "a\0"])
def test_row_with_nul_is_not_plain(text: str) -> None:
    [found] = read(f"uid,mail\n1,{text}\n".encode(), MAPS[:2])
    assert isinstance(found, DecodedItem)
    assert found.traits.plain == ("\0" not in text)


def test_quote_that_never_closes_is_named_with_its_lines() -> None:
    content = b'user_id\n"open\nb\nc\n'

    [found] = read(content, [])

    assert found.line == 2
    assert isinstance(found, UnreadableItem)
    assert found.reason == "The row of lines 2 to 4: unexpected end of data"


def test_row_that_is_too_long_leaves_other_rows_readable() -> None:
    limit = 8 * POLICY.max_event_bytes
    content = b"user_id\n" + b"x" * (limit + 1) + b"\nlast\n"

    found = values(read(content, []))

    assert found[0] == UnreadableItem(2, f"Longer than {limit} bytes.")
    assert found[1]["user_id"] == "last"


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1698885008", 1698885008),
        ("1698885008.5", 1698885008.5),
        ("-0", 0),
        ("1e3", 1000.0),
        (str(2**70), 2**70),
        ("1e400", OutOfRangeNumber("1e400")),
        ("", None),
    ],
)
def test_number_column_gives_numbers(cell: str, value: object) -> None:
    content = f"timestamp,user_id\n{cell},u\n".encode()

    [found] = read(content, [], types=["timestamp=number", "user_id=text"])

    assert isinstance(found, DecodedItem)
    read_value = found.value.get("timestamp")
    assert read_value == value
    assert type(read_value) is type(value)
    assert found.traits.plain == (cell not in {str(2**70), "1e400"})


@pytest.mark.parametrize("cell", ["x", "1,234", "NaN", "Infinity", "true", "[1]"])
def test_number_column_keeps_other_text_with_a_warning(cell: str) -> None:
    content = f'user_id,properties.seats\nu,"{cell}"\n'.encode()

    [found] = read(content, [], types=["properties.seats=number"])

    assert isinstance(found, DecodedItem)
    assert found.value["properties"] == {"seats": cell}
    [warning] = found.warnings
    assert warning[:2] == ("cell_kept_as_text", "properties.seats")
    assert not found.errors


def test_text_column_keeps_digits_as_text() -> None:
    assert values(read(b"user_id\n007\n", []))[0]["user_id"] == "007"


@pytest.mark.parametrize(
    ("header", "maps", "constants", "types"),
    [
        (b"mail,app\n", MAPS, [], []),
        (b"uid,uid,mail,app\n", MAPS, [], []),
        (b"a,b\n", [], [], []),
        (b"", [], [], []),
        (b"", MAPS, [], []),
        (b'"a\n', [], [], []),
        (b"a\n", ["user=a"], [], []),
        (b"a\n", ["propertie=a"], [], []),
        (b"a\n", ["properties.=a"], [], []),
        (b"a\n", ["properties..x=a"], [], []),
        (b"a\n", ["user_id"], [], []),
        (b"a\n", ["user_id="], [], []),
        (b"a\n", ["user_id=a", "user_id=a"], [], []),
        (b"a\n", ["user_id=a"], ["user_id=b"], []),
        (b"a\n", ["properties.a=a", "properties.a.b=a"], [], []),
        (b"a\n", ["properties.a=a"], ["properties.a.b=x"], []),
        (b"a\n", ["user_id=a"], [], ["timestamp=number"]),
        (b"a\n", ["user_id=a"], [], ["user_id=date"]),
    ],
)
def test_options_that_do_not_fit_are_refused(
    header: bytes, maps: list[str], constants: list[str], types: list[str]
) -> None:
    with pytest.raises(ConfigurationError):
        list(read(header, maps, constants, types))


@given(
    rows=st.lists(
        st.tuples(
            # A blank row is no event.
            st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip),
            st.text(st.characters(codec="utf-8")),
        ),
        max_size=8,
    )
)
def test_quoted_cells_arrive_unchanged(rows: list[tuple[str, str]]) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerows([("user_id", "properties.name"), *rows])

    found = list(read(out.getvalue().encode(), [], max_row_lines=1000))

    for each, (user_id, name) in zip(found, rows, strict=True):
        assert isinstance(each, DecodedItem)
        properties = {"name": name} if name else {}
        assert each.value == {"user_id": user_id, "properties": properties}
        assert each.traits.plain or "\0" in user_id + name
        size = len(json.dumps(each.value, ensure_ascii=False).encode())
        assert each.traits.large or size <= POLICY.max_event_bytes

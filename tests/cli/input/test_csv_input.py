import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli.input.csv_mapping import parse_mapping
from app.cli.input.csv_reader import RowReader
from app.cli.input.items import Sent, UnreadableItem
from app.errors import ConfigurationError
from app.pipeline.json_decode import OutOfRangeNumber
from tests.support.pipeline import POLICY

MAPS = ("user_id=uid", "properties.email=mail", "context.app.name=app")


def read(
    content: bytes,
    maps: Sequence[str] = MAPS,
    constants: Sequence[str] = (),
    types: Sequence[str] = (),
) -> Iterator[Sent | UnreadableItem]:
    reader = RowReader(
        io.BytesIO(content),
        plan=parse_mapping(maps, constants, types),
        policy=POLICY,
        announce=said.append,
    )
    return reader.events()


said: list[str] = []


def values(found: Iterator[Sent | UnreadableItem]) -> list[Any]:
    return [each.value if isinstance(each, Sent) else each for each in found]


def test_columns_go_where_they_are_mapped_and_empty_cells_are_absent() -> None:
    content = b"mail,uid,app\na@b.c,u1,web\n,u2,\n"

    assert values(read(content, constants=["event=signed_up"])) == [
        {
            "event": "signed_up",
            "user_id": "u1",
            "properties": {"email": "a@b.c"},
            "context": {"app": {"name": "web"}},
        },
        {"event": "signed_up", "user_id": "u2", "properties": {}},
    ]


def test_a_column_named_like_a_field_needs_no_map() -> None:
    content = b"user_id,properties.email,context.x.y,event,other\nu,a@b.c,1,,o\n"
    said.clear()

    assert values(read(content, maps=[])) == [
        {
            "user_id": "u",
            "properties": {"email": "a@b.c"},
            "context": {"x": {"y": "1"}},
        }
    ]
    assert said == ["Not used: the columns other."]


def test_what_the_options_say_outranks_the_header() -> None:
    content = b"event,user_id,uid\nlater,a,b\n"

    found = values(read(content, ["user_id=uid"], ["event=signed_up"]))

    assert found == [{"event": "signed_up", "user_id": "b", "properties": {}}]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_lines_are_those_of_the_file(ending: bytes) -> None:
    rows = [b"user_id,properties.name", b'a,"x', b'y"', b"", b"b", b'c,""', b'd,"e"f']

    found = list(read(ending.join(rows), maps=[]))

    assert [each.line for each in found] == [2, 5, 6, 7]
    assert [isinstance(each, Sent) for each in found] == [True, False, True, False]
    first = found[0]
    assert isinstance(first, Sent)
    assert first.value["properties"]["name"] == f"x{ending.decode()}y"
    assert found[1] == UnreadableItem(5, "The row has 1 cells, the header 2.")


def test_a_row_that_is_not_utf_8_harms_no_other() -> None:
    content = b"user_id\ncaf\xc3\xa9\ncaf\xe9\nlast\n"

    found = values(read(content, maps=[]))

    assert [each["user_id"] for each in (found[0], found[2])] == ["caf\xe9", "last"]
    assert found[1] == UnreadableItem(3, "The row is not UTF-8.")


@pytest.mark.parametrize("text", ["a", "a\0"])
def test_a_row_with_a_nul_is_one_to_repair(text: str) -> None:
    [found] = read(f"uid,mail\n1,{text}\n".encode(), maps=MAPS[:2])
    assert isinstance(found, Sent)
    assert found.body.plain == ("\0" not in text)


def test_a_quote_that_never_closes_is_told_with_how_far_it_goes() -> None:
    content = b'user_id\n"open\nb\nc\n'

    [found] = read(content, maps=[])

    assert found.line == 2
    assert isinstance(found, UnreadableItem)
    assert found.reason == "The row that goes on to line 4: unexpected end of data"


def test_a_row_that_is_too_long_harms_no_other() -> None:
    limit = 8 * POLICY.max_event_bytes
    content = b"user_id\n" + b"x" * (limit + 1) + b"\nlast\n"

    found = values(read(content, maps=[]))

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
def test_cells_of_a_number_are_numbers(cell: str, value: object) -> None:
    content = f"timestamp,user_id\n{cell},u\n".encode()

    [found] = read(content, [], types=["timestamp=number", "user_id=text"])

    assert isinstance(found, Sent)
    read_value = found.value.get("timestamp")
    assert read_value == value
    assert type(read_value) is type(value)
    assert found.body.plain == (cell not in {str(2**70), "1e400"})


@pytest.mark.parametrize("cell", ["x", "1,5", "NaN", "Infinity", "true", '"1"', "[1]"])
def test_a_cell_that_is_no_number_is_told(cell: str) -> None:
    quoted = cell.replace('"', '""')
    content = f'timestamp\n"{quoted}"\n'.encode()

    [found] = read(content, [], types=["timestamp=number"])

    assert found == UnreadableItem(2, "The cell of `timestamp` is no number.")


def test_text_that_looks_like_a_number_stays_text() -> None:
    assert values(read(b"user_id\n007\n", maps=[]))[0]["user_id"] == "007"


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
        (b"a\n", ["properties=a"], [], []),
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
def test_a_plan_that_does_not_fit_is_refused(
    header: bytes, maps: list[str], constants: list[str], types: list[str]
) -> None:
    with pytest.raises(ConfigurationError):
        list(read(header, maps, constants, types))


@given(
    rows=st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8"), min_size=1),
            st.text(st.characters(codec="utf-8")),
        ),
        max_size=8,
    )
)
def test_whatever_csv_can_hold_arrives_as_it_is(rows: list[tuple[str, str]]) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerows([("user_id", "properties.name"), *rows])

    found = list(read(out.getvalue().encode(), maps=[]))

    for each, (user_id, name) in zip(found, rows, strict=True):
        assert isinstance(each, Sent)
        properties = {"name": name} if name else {}
        assert each.value == {"user_id": user_id, "properties": properties}
        assert each.body.plain or "\0" in user_id + name
        size = len(json.dumps(each.value, ensure_ascii=False).encode())
        assert each.body.large or size <= POLICY.max_event_bytes

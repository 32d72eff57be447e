from math import isnan
from typing import Any

import pytest

from app.cli.input.items import BlankItem, DecodedItem, UnreadableItem
from app.errors import ConfigurationError
from app.pipeline.process import process_event
from app.pipeline.record import Record
from tests.support.cli.csv_rows import announced, read, values
from tests.support.pipeline.verdicts import POLICY, RECEIPT


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [
        ("user_id;email", ";"),
        ("user_id\tevent", "\t"),
        ("user_id|x,y", "|"),
        ("a;b,user_id,event", ","),
        ('"user_id;x";event', ";"),
        ("user_id", ","),
    ],
)
def test_delimiter_is_detected_in_the_header(header: str, delimiter: str) -> None:
    announced.clear()
    count = 2 if header.startswith('"') else len(header.split(delimiter))
    content = f"{header}\n{delimiter.join('u' * count)}\n".encode()

    [found] = read(content, [], ["properties.email=a@b.c"])

    assert isinstance(found, DecodedItem)
    is_announced = any("delimiter seems to be" in text for text in announced)
    assert is_announced == (delimiter != ",")


def test_delimiter_option_outranks_the_header() -> None:
    content = b"user_id;x,event\nu,e\n"

    found = values(read(content, ["user_id=user_id;x"], delimiter=","))

    assert found == [{"user_id": "u", "event": "e", "properties": {}}]


def test_excel_line_with_delimiter_is_skipped() -> None:
    found = list(read(b"sep=;\r\nuser_id;event\r\nu;e\r\n", []))

    assert [each.line for each in found] == [3]
    assert values(iter(found)) == [{"user_id": "u", "event": "e", "properties": {}}]


@pytest.mark.parametrize("row", [",,", " , ,\t", ""])
def test_blank_row_is_no_event(row: str) -> None:
    content = f"user_id,event,properties.email\nu,e,\n{row}\n{row}\n".encode()

    found = list(read(content, []))

    assert found[1:] == [BlankItem(3), BlankItem(4)]


def test_header_is_trimmed_and_blank_cells_after_it_are_ignored() -> None:
    found = values(read(b" user_id , event\nu,e,,\nv,e,x\n", []))

    assert found[0] == {"user_id": "u", "event": "e", "properties": {}}
    assert found[1] == UnreadableItem(3, "The row has 3 cells, the header 2.")


def test_null_markers_are_absent() -> None:
    content = b"user_id,group_id,event\n\\N,NULL,e\n"

    found = values(read(content, [], null=["\\N", "NULL"]))

    assert found == [{"event": "e", "properties": {}}]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("2023-11-02 00:30:08", "2023-11-02 00:30:08+01:00"),
        ("2023-07-02T00:30:08.123456", "2023-07-02T00:30:08.123456+02:00"),
        ("2023-11-02", "2023-11-02T00:00:00+01:00"),
        ("2023-11-02T00:30:08Z", None),
        ("2023-11-02 00:30:08+05:00", None),
        ("soon", None),
    ],
)
def test_timezone_applies_to_times_without_offset(cell: str, value: str | None) -> None:
    content = f"timestamp\n{cell}\n".encode()

    [found] = read(content, [], timezone="Europe/Berlin")

    assert isinstance(found, DecodedItem)
    assert found.value["timestamp"] == (value or cell)
    codes = [warning.code for warning in found.warnings]
    assert codes == (["time_converted"] if value else [])


@pytest.mark.parametrize("cell", ["2023-10-29 02:30:00", "2023-03-26T02:30:00"])
def test_timezone_rejects_times_that_occur_twice_or_never(cell: str) -> None:
    [found] = read(f"timestamp\n{cell}\n".encode(), [], timezone="Europe/Berlin")

    assert isinstance(found, DecodedItem)
    [error] = found.errors
    assert error[:2] == ("invalid_timestamp", "timestamp")


def test_timezone_may_be_an_offset() -> None:
    [found] = read(b"timestamp\n2023-11-02 00:30\n", [], timezone="-03:30")

    assert isinstance(found, DecodedItem)
    assert found.value["timestamp"] == "2023-11-02 00:30-03:30"


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({}, "2023-11-02T13:05:00"),
        ({"timezone": "Europe/Berlin"}, "2023-11-02T13:05:00+01:00"),
    ],
)
def test_date_format_reads_the_timestamp(options: dict[str, Any], value: str) -> None:
    content = b"timestamp,user_id\n02.11.2023 13:05,u\n2023-11-02,v\n"

    found = list(read(content, [], date_format=["%d.%m.%Y %H:%M"], **options))

    first, second = found
    assert isinstance(first, DecodedItem)
    assert isinstance(second, DecodedItem)
    assert first.value["timestamp"] == value
    assert [warning.code for warning in first.warnings] == ["time_converted"]
    assert [error.code for error in second.errors] == ["invalid_timestamp"]


def test_date_format_applies_to_one_column() -> None:
    content = b"timestamp,properties.trial\n2023-11-02T00:00:00Z,03/04/23\n"

    [found] = read(content, [], date_format=["properties.trial=%m/%d/%y"])

    assert isinstance(found, DecodedItem)
    assert found.value["timestamp"] == "2023-11-02T00:00:00Z"
    assert found.value["properties"] == {"trial": "2023-03-04T00:00:00"}


def test_json_columns_become_objects() -> None:
    content = (
        b"user_id,properties,context,properties.email,tags\n"
        b'u,"{""a"": [1.5, null]}","{""group_id"": ""g""}",a@b.c,"[""x""]"\n'
    )

    [found] = read(content, ["properties.tags=tags"], types=["properties.tags=json"])

    assert isinstance(found, DecodedItem)
    assert found.value == {
        "user_id": "u",
        "properties": {"a": [1.5, None], "email": "a@b.c", "tags": ["x"]},
        "context": {"group_id": "g"},
    }
    assert not found.warnings
    assert not found.errors


@pytest.mark.parametrize("beside", ["", "[],"])
def test_levels_of_a_json_cell_are_limited_as_those_of_an_event(beside: str) -> None:
    accepted = []
    for levels in range(60, 68):
        cell = f"[{beside}{'[' * (levels - 1)}{']' * levels}"
        [found] = read(
            f"event,user_id,timestamp,email,tags\n"
            f'signed_up,u,2023-11-02T00:00:00Z,a@b.c,"{cell}"\n'.encode(),
            ["properties.email=email", "properties.tags=tags"],
            types=["properties.tags=json"],
        )
        assert isinstance(found, DecodedItem)
        verdict = process_event(
            found.value, request_context=RECEIPT, policy=POLICY, body=found.traits
        )
        if isinstance(verdict, Record):
            accepted.append(levels)
    # The event and its properties are two further levels.
    assert accepted == [60, 61, 62, 63]


def test_json_column_keeps_other_text_with_a_warning() -> None:
    [found] = read(b"user_id,context\nu,{broken\n", [])

    assert isinstance(found, DecodedItem)
    assert found.value["context"] == "{broken"
    assert [w[:2] for w in found.warnings] == [("cell_kept_as_text", "context")]


def test_json_column_keeps_nan_for_the_pipeline() -> None:
    [found] = read(
        b"user_id,x\nu,NaN\n", ["properties.x=x"], types=["properties.x=json"]
    )

    assert isinstance(found, DecodedItem)
    assert isnan(found.value["properties"]["x"])
    assert not found.traits.plain
    assert not found.errors


@pytest.mark.parametrize(
    ("header", "cells", "constants"),
    [
        ("properties,properties.a", '"{""a"": 1}",2', []),
        ("properties", '"{""a"": 1}"', ["properties.a=2"]),
        ("properties", "text", ["properties.a=2"]),
    ],
)
def test_place_with_two_values_rejects_the_event(
    header: str, cells: str, constants: list[str]
) -> None:
    [found] = read(f"user_id,{header}\nu,{cells}\n".encode(), [], constants)

    assert isinstance(found, DecodedItem)
    assert [error.code for error in found.errors] == ["conflicting_fields"]


@pytest.mark.parametrize("cell", ["1.23457E+11", "42.0", "9e5", "1,5E+10"])
def test_id_that_looks_rewritten_is_warned_of(cell: str) -> None:
    [found] = read(f'user_id,message_id\n"{cell}",7\n'.encode(), [])

    assert isinstance(found, DecodedItem)
    assert found.value["user_id"] == cell
    assert [w[:2] for w in found.warnings] == [("id_looks_rewritten", "user_id")]


@pytest.mark.parametrize("cell", ["42", "1.5", "e5", "1e5x", "v1.0"])
def test_other_id_gives_no_warning(cell: str) -> None:
    [found] = read(f"user_id\n{cell}\n".encode(), [])

    assert isinstance(found, DecodedItem)
    assert not found.warnings


HEADER = "user_id,properties.email,properties.note,timestamp\n"


def test_stray_quotes_that_swallow_rows_are_named() -> None:
    rows = "".join(f"u{n},a@b.c,x,2023-11-02\n" for n in range(4))
    content = f'{HEADER}v,a@b.c,"x,2023-11-02\n{rows}w,a@b.c,y",2023-11-02\n{rows}'

    first, *rest = read(content.encode(), [])

    assert isinstance(first, UnreadableItem)
    assert first.line == 2
    assert first.reason.startswith("The row of lines 2 to 7: A quote that closes")
    assert len(rest) == 4


@pytest.mark.parametrize(("lines", "limit"), [(10, None), (11, None), (30, 30)])
def test_long_row_is_read_up_to_a_limit(lines: int, limit: int | None) -> None:
    note = "\n".join(["Main St. 5, 3rd floor"] * lines)
    content = f'{HEADER}u,a@b.c,"{note}",2023-11-02\n'.encode()

    [found] = read(content, [], max_row_lines=limit)

    assert isinstance(found, DecodedItem) == (lines <= (limit or 10))


def test_carriage_returns_alone_end_lines() -> None:
    content = b'user_id,properties.name\ru,"a\rb"\rv,\r\rw,c\r'

    found = list(read(content, []))

    assert [each.line for each in found] == [2, 4, 5, 6]
    assert isinstance(found[0], DecodedItem)
    assert found[0].value["properties"] == {"name": "a\rb"}


@pytest.mark.parametrize(
    "options",
    [
        {"timezone": "Mars/Olympus"},
        {"timezone": "../etc/passwd"},
        {"delimiter": ";;"},
        {"delimiter": '"'},
        {"date_format": ["dd.mm.yyyy"]},
        {"date_format": ["properties.x=%d"]},
    ],
)
def test_option_without_meaning_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        list(read(b"user_id,timestamp\nu,2023-11-02\n", [], **options))

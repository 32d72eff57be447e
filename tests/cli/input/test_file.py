import bz2
import gzip
import io
import lzma
from pathlib import Path

import pytest
import typer
from backports import zstd

from app.cli.input.file import (
    DamagedInputError,
    InputFile,
    make_input,
    open_input,
    swap_line_ends,
)

CONTENT = b'{"event": "caf\xc3\xa9"}\n' * 20_000
COMPRESSIONS = [gzip.compress, bz2.compress, lzma.compress, zstd.compress]


def opened(content: bytes, name: str = "e") -> InputFile:
    return make_input(name, io.BytesIO(content), total=len(content))


def drain(stream: io.BufferedIOBase) -> None:
    while stream.read1(1000):
        pass


def test_plain_file_is_read_unchanged() -> None:
    file = opened(CONTENT)

    assert file.stream.read() == CONTENT
    assert file.head == CONTENT[: 64 * 1024]
    assert file.position == file.total == len(CONTENT)


@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_compression_is_recognised_by_its_first_bytes(compress: object) -> None:
    assert callable(compress)

    assert opened(compress(CONTENT)).stream.read() == CONTENT


@pytest.mark.parametrize("compress", COMPRESSIONS)
@pytest.mark.parametrize("cut", [1, 8, 40])
def test_compressed_data_that_breaks_off_is_an_error_at_every_read(
    compress: object, cut: int
) -> None:
    assert callable(compress)
    stream = opened(compress(CONTENT)[:-cut]).stream

    for _ in range(2):
        with pytest.raises(DamagedInputError, match="damaged or cut off"):
            drain(stream)


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
@pytest.mark.parametrize("text", ["user_id\nu1\n", '{"event": "\U0001f600"}\n' * 9_000])
def test_unicode_of_any_width_becomes_utf_8(encoding: str, text: str) -> None:
    assert opened(text.encode(encoding)).stream.read() == text.encode()


def test_byte_order_mark_inside_a_file_is_kept() -> None:
    text = "\ufeff" + "x" * (128 * 1024 - 1) + "\ufeff" * 5

    assert opened(text.encode("utf-16")).stream.read() == text.encode()


def test_utf_16_that_breaks_off_is_an_error() -> None:
    stream = opened("\ufeffuser_id\n".encode("utf-16-le")[:-1]).stream

    with pytest.raises(DamagedInputError, match="UTF-16"):
        drain(stream)


@pytest.mark.parametrize(
    ("content", "line_end"),
    [
        (b"a\rb\rc", b"\r"),
        (b"a\r\nb\r\n", b"\n"),
        (b"a\nb\rc\n", b"\n"),
        (b"a\r", b"\n"),
        (b"a", b"\n"),
    ],
)
def test_carriage_returns_are_line_ends_where_there_are_no_others(
    content: bytes, line_end: bytes
) -> None:
    file = opened(content)

    assert file.has_cr_lines == (line_end == b"\r")
    read = file.stream.read()
    assert (swap_line_ends(read) if file.has_cr_lines else read) == content
    assert read.count(b"\n") == content.count(line_end)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PK\x03\x04....[Content_Types].xml", "Excel workbook; save the sheet as CSV"),
        (b"PK\x03\x04....events.json", "ZIP archive"),
        (gzip.compress(b"x" * 257 + b"ustar\x00", mtime=0), "tar archive"),
        (b"PAR1....", "Parquet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Excel workbook"),
        (b"Obj\x01", "Avro"),
        (b"SQLite format 3\x00", "SQLite"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_foreign_format_is_named(content: bytes, kind: str) -> None:
    with pytest.raises(typer.BadParameter, match=kind):
        opened(content, "export.dat")


def test_open_input_reads_a_path(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    path.write_bytes(CONTENT)

    with open_input(path) as file:
        assert file.name == "e.csv"
        assert file.stream.read() == CONTENT

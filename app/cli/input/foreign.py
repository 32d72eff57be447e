"""Recognise formats that hold no events, to name them."""

from collections.abc import Iterable

import typer

_ZIP = b"PK\x03\x04"
_SPREADSHEETS = (b"[Content_Types].xml", b"xl/", b"opendocument.spreadsheet")
_TAR_AT, _TAR = 257, b"ustar"
_FOREIGN = (
    (b"PK\x05\x06", "an empty ZIP archive", "there is nothing in it to read"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook", "save the sheet as CSV"),
    (b"PAR1", "a Parquet file", "export it as NDJSON or CSV"),
    (b"Obj\x01", "an Avro file", "export it as NDJSON or CSV"),
    (b"ORC", "an ORC file", "export it as NDJSON or CSV"),
    (b"ARROW1", "an Arrow file", "export it as NDJSON or CSV"),
    (b"SQLite format 3\x00", "an SQLite database", "export its table as CSV"),
    (b"PGDMP", "a dump of pg_dump", "export its table with COPY ... CSV HEADER"),
    (b"\x04\x22\x4d\x18", "compressed with LZ4", "decompress it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it and name the files in it"),
    (b"Rar!\x1a\x07", "a RAR archive", "unpack it and name the files in it"),
    (b"%PDF-", "a PDF document", "only NDJSON, JSON and CSV are read"),
)


def refuse_foreign(name: str, head: bytes) -> None:
    """Refuse a file of a format that holds no events.

    Raises:
        BadParameter: it has such a format; the text says how to proceed.
    """
    kinds: Iterable[tuple[bytes, str, str]] = _FOREIGN
    if head.startswith(_ZIP):
        is_sheet = any(sign in head for sign in _SPREADSHEETS)
        kinds = [
            (_ZIP, "an Excel workbook", "save the sheet as CSV")
            if is_sheet
            else (_ZIP, "a ZIP archive", "unpack it and name the files in it")
        ]
    elif head.startswith(_TAR, _TAR_AT):
        kinds = [(b"", "a tar archive", "unpack it and name the files in it")]
    for magic, kind, advice in kinds:
        if head.startswith(magic):
            raise typer.BadParameter(f"{name} is {kind}; {advice}.")

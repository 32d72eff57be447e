"""Recognise formats that hold no events, to name them."""

import typer

_ZIP = b"PK\x03\x04"
_SPREADSHEETS = (b"[Content_Types].xml", b"xl/", b"opendocument.spreadsheet")
_UNPACK = "unpack it and name the files in it"
# Offset and bytes of the sign of each, its name, and what to do with it.
_FOREIGN = (
    (0, _ZIP, "a ZIP archive", _UNPACK),
    (0, b"PK\x05\x06", "an empty ZIP archive", "there is nothing in it to read"),
    (257, b"ustar", "a tar archive", _UNPACK),
    (0, b"\xd0\xcf\x11\xe0", "an Excel workbook", "save the sheet as CSV"),
    (0, b"PAR1", "a Parquet file", "export it as NDJSON or CSV"),
    (0, b"Obj\x01", "an Avro file", "export it as NDJSON or CSV"),
    (0, b"ORC", "an ORC file", "export it as NDJSON or CSV"),
    (0, b"ARROW1", "an Arrow file", "export it as NDJSON or CSV"),
    (0, b"SQLite format 3\x00", "an SQLite database", "export its table as CSV"),
    (0, b"PGDMP", "a dump of pg_dump", "export its table with COPY ... CSV HEADER"),
    (0, b"\x04\x22\x4d\x18", "compressed with LZ4", "decompress it first"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (0, b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (0, b"%PDF-", "a PDF document", "only NDJSON, JSON and CSV are read"),
)


def refuse_foreign(name: str, head: bytes) -> None:
    """Refuse a file of a format that holds no events.

    Raises:
        BadParameter: it has such a format; the text says how to proceed.
    """
    if head.startswith(_ZIP) and any(part in head for part in _SPREADSHEETS):
        raise typer.BadParameter(f"{name} is an Excel workbook; save the sheet as CSV.")
    for offset, sign, kind, advice in _FOREIGN:
        if head.startswith(sign, offset):
            raise typer.BadParameter(f"{name} is {kind}; {advice}.")

"""Read a file of events: NDJSON, any other sequence of JSON values, or CSV.

Parts that cannot be read are returned with their line, and the rest of the file is
read. Memory is bounded, whatever the size of the file.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum
from io import BytesIO

from app.cli.input.file import DamagedInputError, InputFile
from app.cli.input.items import (
    InputItem,
    RawItem,
    UnreadableItem,
    max_item_bytes,
    read_lines,
)
from app.cli.input.json_reader import JsonReader
from app.cli.input.table.dialect import DELIMITERS, first_line, split_header
from app.cli.input.table.mapping import CsvMapping
from app.cli.input.table.reader import RowReader
from app.errors import ConfigurationError
from app.pipeline.json_decode import MAX_BODY_DEPTH, decode
from app.pipeline.record import Policy
from app.request_errors import InvalidJsonError

# White space, and the record separator of JSON text sequences (RFC 7464).
_JSON_SPACE = b" \t\r\n\x1e"
_COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")


class Format(StrEnum):
    """How events are laid out in a file."""

    NDJSON = "ndjson"
    JSON = "json"
    CSV = "csv"


def read_items(
    file: InputFile,
    *,
    form: Format | None,
    mapping: CsvMapping,
    policy: Policy,
    announce: Callable[[str], None],
) -> Iterator[InputItem]:
    """Read each event of a file, and the parts that are not events.

    Args:
        file: at its beginning.
        form: None to detect it by the file's name and content.
        mapping: options for CSV.
        policy: limits of an event.
        announce: receives notes for the operator about the file.

    Raises:
        ConfigurationError: the file and the options do not fit together.
    """
    form = form or _detect(file, mapping)
    if form is Format.CSV:
        reader = RowReader(file, mapping=mapping, policy=policy, announce=announce)
        items: Iterator[InputItem] = reader.items()
    elif not mapping.is_empty():
        raise ConfigurationError(
            f"{file.name} is {form}; --map, --set and the other options of CSV do not "
            "apply to it."
        )
    elif form is Format.NDJSON:
        items = _read_lines(file, policy)
    else:
        items = _read_values(file, policy)
    line = 1
    try:
        for item in items:
            line = item.line
            yield item
    except DamagedInputError as error:
        yield UnreadableItem(line, str(error))


def _detect(file: InputFile, mapping: CsvMapping) -> Format:
    """By the suffix of CSV and its options, else by the content."""
    name = file.name.lower()
    for suffix in _COMPRESSIONS:
        name = name.removesuffix(suffix)
    start = file.head.lstrip(_JSON_SPACE)
    if name.endswith((".csv", ".tsv")):
        return Format.CSV
    if start.startswith(b"["):
        return Format.JSON
    if start.startswith(b"{"):
        return Format.JSON if _spans_lines(start) else Format.NDJSON
    is_csv = not mapping.is_empty() or _has_header(file)
    return Format.CSV if is_csv else Format.NDJSON


def _has_header(file: InputFile) -> bool:
    """Whether the first line names a field, as the header of CSV does."""
    line = first_line(file)
    return any(CsvMapping().count_used(split_header(line, each)) for each in DELIMITERS)


def _spans_lines(start: bytes) -> bool:
    """Whether the first object goes on over the end of its line, or others follow.

    A first line that is broken JSON is one of NDJSON: then the lines after it count.
    """
    line, line_end, _ = start.partition(b"\n")
    if _is_json(line):
        return False
    values = JsonReader(BytesIO(start), max_bytes=len(start)).values()
    try:
        _, text = next(values)
    except (StopIteration, ValueError):
        # The head ends within it.
        return bool(line_end) and line.rstrip(_JSON_SPACE)[-1:] in b"{[,:"
    return text is not None and _is_json(text)


def _is_json(text: bytes) -> bool:
    try:
        decode(text.strip(_JSON_SPACE), max_depth=MAX_BODY_DEPTH)
    except InvalidJsonError:
        return False
    return True


def _read_lines(file: InputFile, policy: Policy) -> Iterator[InputItem]:
    for line, text in read_lines(file.stream, max_bytes=max_item_bytes(policy)):
        stripped = text and text.strip(_JSON_SPACE)
        if stripped != b"":
            yield RawItem(line, stripped)


def _read_values(file: InputFile, policy: Policy) -> Iterator[InputItem]:
    reader = JsonReader(file.stream, max_bytes=max_item_bytes(policy))
    try:
        for line, text in reader.values():
            yield RawItem(line, text)
    except ValueError as error:
        yield UnreadableItem(reader.line, str(error))

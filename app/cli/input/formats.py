"""Files of events: NDJSON, a JSON array, a JSON body as `/track` takes it, or CSV.

What cannot be read is handed on with its line, and the rest of the file is read.
Memory is bounded, whatever the size of the file.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum
from io import BufferedIOBase

from app.cli.input.csv_mapping import CsvMapping
from app.cli.input.csv_reader import RowReader
from app.cli.input.file import GZIP_ERRORS, InputFile, resume
from app.cli.input.items import (
    InputItem,
    Sent,
    Text,
    UnreadableItem,
    max_line_bytes,
    read_lines,
    unreadable_json,
)
from app.cli.input.json_array import ArrayReader
from app.errors import ConfigurationError, InvalidJsonError
from app.pipeline.json_decode import decode
from app.pipeline.record import Policy
from app.pipeline.unpack import unpack

_JSON_SPACE = b" \t\r\n"
# A body in one piece is held as a whole; as many bytes as `/track` takes by default.
_MAX_BODY_BYTES = 10 * 1024 * 1024


class Format(StrEnum):
    """How events stand in a file."""

    NDJSON = "ndjson"
    JSON = "json"
    CSV = "csv"


_SUFFIXES = {
    "csv": Format.CSV,
    "ndjson": Format.NDJSON,
    "jsonl": Format.NDJSON,
}


def read_events(
    file: InputFile,
    *,
    form: Format | None,
    plan: CsvMapping,
    policy: Policy,
    announce: Callable[[str], None],
) -> Iterator[InputItem]:
    """Read each event of a file, or what stands there in its place.

    Args:
        file: at its beginning.
        form: None to tell it by the file's name and content.
        plan: the columns of CSV.
        policy: what an event may be.
        announce: told what the operator should know beside it.

    Raises:
        ConfigurationError: the file and the options do not fit together.
    """
    line = 1
    try:
        ahead = _read_ahead(file.stream, max_line_bytes(policy))
        form = form or _tell_format(file.name, ahead, plan)
        stream = resume(ahead, file.stream)
        if form is Format.CSV:
            found: Iterator[InputItem] = RowReader(
                stream, plan=plan, policy=policy, announce=announce
            ).events()
        else:
            if not plan.is_empty():
                raise ConfigurationError(
                    f"--map, --set and --map-type are for CSV; this is {form}."
                )
            found = _read_json(stream, form, ahead, policy)
        for each in found:
            line = each.line
            yield each
    except GZIP_ERRORS:
        yield UnreadableItem(
            line, "From here on the gzip data is damaged or cut off; it was not read."
        )


def _read_ahead(stream: BufferedIOBase, max_bytes: int) -> bytes:
    """The start of a file, up to the end of the first line that says something."""
    ahead = b""
    while not ahead.strip() and len(ahead) < max_bytes:
        line = stream.readline(max_bytes)
        if not line:
            break
        ahead += line
    return ahead


def _tell_format(name: str, ahead: bytes, plan: CsvMapping) -> Format:
    """By the name's suffix, else by the first line."""
    suffixes = name.lower().removesuffix(".gz").split(".")
    if suffixes[-1] in _SUFFIXES:
        return _SUFFIXES[suffixes[-1]]
    line = ahead.strip(_JSON_SPACE)
    if line.startswith(b"["):
        return Format.JSON
    if not line.startswith(b"{"):
        return Format.NDJSON if plan.is_empty() else Format.CSV
    try:
        value = decode(line, max_depth=1).value
    except InvalidJsonError:
        # An object over several lines; but any other line is a broken one of NDJSON.
        return Format.JSON if line[-1:] in b"{[,:" else Format.NDJSON
    return Format.JSON if isinstance(value.get("batch"), list) else Format.NDJSON


def _read_json(
    stream: BufferedIOBase, form: Format, ahead: bytes, policy: Policy
) -> Iterator[InputItem]:
    if form is Format.NDJSON:
        return _read_ndjson(stream, policy)
    if ahead.lstrip(_JSON_SPACE).startswith(b"["):
        return _read_array(stream, policy)
    return _read_body(stream, policy)


def _read_ndjson(stream: BufferedIOBase, policy: Policy) -> Iterator[InputItem]:
    for line, text in read_lines(stream, max_bytes=max_line_bytes(policy)):
        stripped = text and text.strip(_JSON_SPACE)
        if stripped != b"":
            yield Text(line, stripped)


def _read_array(stream: BufferedIOBase, policy: Policy) -> Iterator[InputItem]:
    array = ArrayReader(stream, max_bytes=max_line_bytes(policy))
    try:
        for line, text in array.elements():
            yield Text(line, text)
    except ValueError as error:
        yield UnreadableItem(array.line, str(error))


def _read_body(stream: BufferedIOBase, policy: Policy) -> Iterator[InputItem]:
    text = stream.read(_MAX_BODY_BYTES + 1)
    if len(text) > _MAX_BODY_BYTES:
        yield UnreadableItem(
            1,
            f"An object in one piece has at most {_MAX_BODY_BYTES} bytes; "
            "put each event on a line of its own.",
        )
        return
    try:
        unpacked = unpack(text, policy=policy, max_events=len(text), lenient=True)
    except InvalidJsonError as error:
        yield unreadable_json(1, error)
        return
    for event in unpacked.events:
        yield Sent(1, event, unpacked.body, len(text) // len(unpacked.events))

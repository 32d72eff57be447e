"""Items of a file: pieces of JSON, decoded events, and parts that are not events."""

import re
from collections.abc import Iterator
from enum import StrEnum
from io import BufferedIOBase, BytesIO
from typing import Any, NamedTuple

from app.cli.input.json_reader import JsonReader
from app.pipeline.issues import Issue
from app.pipeline.record import BodyTraits, Policy
from app.pipeline.unpack import unpack
from app.request_errors import InvalidJsonError, RequestError

# The place at the end of an error of the JSON decoder.
_PLACE = re.compile(r" at line (\d+), column (\d+)\.$")
# Bytes that an event may take in a file for each byte of its compact JSON: escapes
# are up to six times as long as what they stand for.
_FACTOR = 8
_MAX_BODY_BYTES = 10 * 1024 * 1024


class FileWarning(StrEnum):
    """Warnings that only files have; `docs/backfill.md` explains each."""

    TIME_CONVERTED = "time_converted"
    CELL_KEPT_AS_TEXT = "cell_kept_as_text"
    ID_LOOKS_REWRITTEN = "id_looks_rewritten"


class RawItem(NamedTuple):
    """A piece of JSON that has not been decoded: one value, or several on one line.

    Attributes:
        line: where it begins, from 1.
        text: None where it was too long to be held.
    """

    line: int
    text: bytes | None

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return len(self.text or b"")


class DecodedItem(NamedTuple):
    """An event that has been decoded and not yet processed.

    Attributes:
        line: where it begins, from 1.
        value: one JSON value.
        traits: properties of its JSON that processing needs.
        size: bytes in the file.
        warnings: assumptions made while it was read.
        errors: why it must be rejected, if it must.
    """

    line: int
    value: Any
    traits: BodyTraits
    size: int
    warnings: tuple[Issue, ...] = ()
    errors: tuple[Issue, ...] = ()


class UnreadableItem(NamedTuple):
    """A part of a file that holds no event, because it cannot be read.

    Attributes:
        line: where it begins, from 1.
        reason: one sentence without the content.
    """

    line: int
    reason: str
    size: int = 0


class BlankItem(NamedTuple):
    """A row of CSV without content."""

    line: int
    size: int = 0


InputItem = RawItem | DecodedItem | UnreadableItem | BlankItem


def max_item_bytes(policy: Policy) -> int:
    """Maximum length of a line or a JSON value: a whole body, or one large event."""
    return max(max_row_bytes(policy), _MAX_BODY_BYTES)


def max_row_bytes(policy: Policy) -> int:
    """Maximum length of a line of CSV: one event."""
    return _FACTOR * policy.max_event_bytes


def read_lines(
    stream: BufferedIOBase, *, max_bytes: int
) -> Iterator[tuple[int, bytes | None]]:
    """Each line with its number, from 1, and its line end; None for one too long."""
    number = 0
    while line := stream.readline(max_bytes + 1):
        number += 1
        is_whole = len(line) <= max_bytes
        while len(line) > max_bytes and not line.endswith(b"\n"):
            line = stream.readline(max_bytes + 1)
        yield number, line if is_whole else None


def decode_item(
    item: RawItem, *, policy: Policy
) -> Iterator[DecodedItem | UnreadableItem]:
    """The events in a piece of JSON: one, or those of a body or of several values."""
    line, text = item
    if text is None:
        limit = max_item_bytes(policy)
        yield UnreadableItem(
            line, f"Longer than {limit} bytes; put each event on a line of its own."
        )
        return
    try:
        unpacked = unpack(text, policy=policy, max_events=len(text), lenient=True)
    except InvalidJsonError as error:
        values = _split(item)
        if len(values) > 1:
            for value in values:
                yield from decode_item(value, policy=policy)
        else:
            yield unreadable_json(line, error)
        return
    except RequestError as error:
        yield UnreadableItem(line, error.detail)
        return
    for event in unpacked.events:
        size = len(text) // len(unpacked.events)
        yield DecodedItem(line, event, unpacked.body, size)


def unreadable_json(line: int, error: InvalidJsonError) -> UnreadableItem:
    """An error of the JSON decoder, at its line in the file."""
    place = _PLACE.search(error.detail)
    if place is None:
        return UnreadableItem(line, error.detail)
    return UnreadableItem(
        line + int(place[1]) - 1,
        f"{error.detail[: place.start()]} at column {place[2]}.",
    )


def _split(item: RawItem) -> list[RawItem]:
    """Several JSON values in one piece, as of `{...}{...}`."""
    text = item.text or b""
    if not text.startswith(b"{"):
        return []
    reader = JsonReader(BytesIO(text), max_bytes=len(text))
    try:
        return [RawItem(item.line + line - 1, value) for line, value in reader.values()]
    except ValueError:
        return []

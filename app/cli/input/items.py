"""The lines of a file, and what is found in them."""

import re
from collections.abc import Iterator
from io import BufferedIOBase
from typing import Any, NamedTuple

from app.errors import InvalidJsonError
from app.pipeline.json_decode import decode
from app.pipeline.record import Body, Policy

# As `app.pipeline.json_decode` ends its errors.
_PLACE = re.compile(r" at line (\d+), column (\d+)\.$")
# More than a text can differ from its compact JSON: escapes are up to six times as
# long as what they stand for, and 1e15 becomes 1000000000000000.0.
_FACTOR = 8


class Text(NamedTuple):
    """A piece of JSON in a file, which is an event or else cannot be read.

    Attributes:
        line: where it begins, from 1.
        text: None where it was too long to be held.
    """

    line: int
    text: bytes | None

    @property
    def size(self) -> int:
        """Bytes that are held of it."""
        return len(self.text or b"")


class Sent(NamedTuple):
    """An event in a file, not yet judged.

    Attributes:
        line: where it begins, from 1.
        value: as decoded.
        body: what `judge` has to know of its JSON.
        size: bytes that it took in the file.
    """

    line: int
    value: Any
    body: Body
    size: int


class UnreadableItem(NamedTuple):
    """A part of a file that holds no event, because it cannot be read.

    Attributes:
        line: where it begins, from 1.
        reason: one sentence; never holds what was read.
    """

    line: int
    reason: str

    @property
    def size(self) -> int:
        """Nothing is held of it."""
        return 0


InputItem = Text | Sent | UnreadableItem


def max_line_bytes(policy: Policy) -> int:
    """How long a line or an element may be: longer than any event that is taken."""
    return _FACTOR * policy.max_event_bytes


def may_be_large(text_bytes: int, policy: Policy) -> bool:
    """Whether an event may be over its limit, which counts its compact JSON.

    Args:
        text_bytes: of the event as it stands in the file.
        policy: has the limit.
    """
    return _FACTOR * text_bytes > policy.max_event_bytes


def read_lines(
    stream: BufferedIOBase, *, max_bytes: int
) -> Iterator[tuple[int, bytes | None]]:
    """Each line with its number, from 1, and its end; None for one too long."""
    number = 0
    while line := stream.readline(max_bytes + 1):
        number += 1
        is_whole = len(line) <= max_bytes
        while len(line) > max_bytes and not line.endswith(b"\n"):
            line = stream.readline(max_bytes + 1)
        yield number, line if is_whole else None


def read_event(piece: Text, *, policy: Policy) -> Sent | UnreadableItem:
    """The event that a piece of JSON is."""
    line, text = piece
    if text is None:
        return UnreadableItem(line, f"Longer than {max_line_bytes(policy)} bytes.")
    try:
        decoded = decode(text, max_depth=policy.max_depth)
    except InvalidJsonError as error:
        return unreadable_json(line, error)
    body = Body(decoded.plain, decoded.deep, may_be_large(len(text), policy))
    return Sent(line, decoded.value, body, len(text))


def unreadable_json(line: int, error: InvalidJsonError) -> UnreadableItem:
    """What is no JSON, at the line of the file that the error is in.

    Args:
        line: that the JSON begins in.
        error: counts its lines from there.
    """
    place = _PLACE.search(error.detail)
    if place is None:
        return UnreadableItem(line, error.detail)
    return UnreadableItem(
        line + int(place[1]) - 1,
        f"{error.detail[: place.start()]} at column {place[2]}.",
    )

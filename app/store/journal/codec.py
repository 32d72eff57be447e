"""Journal entries as bytes and back, so that draining makes the row that was due.

An entry is an ASCII JSON array: `[2, kind, fields]`. Entries of the release before this
one, which have no version, are read as well. An entry keeps the id that it was buffered
with, also if this release would make another one of the same event.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from app.pipeline.issues import Issue
from app.pipeline.json_decode import decode
from app.pipeline.json_encode import encode_exactly
from app.pipeline.outcome import Entry
from app.pipeline.record import Record
from app.pipeline.rejection import Rejection
from app.request_errors import InvalidJsonError

_VERSION = 2
_KINDS: Mapping[str, type[Entry]] = {"record": Record, "rejection": Rejection}


def encode_entry(entry: Entry) -> bytes:
    """All fields of an entry, as ASCII JSON: a text may hold what UTF-8 cannot."""
    if isinstance(entry, Record):
        kind = "record"
        values = entry._asdict() | {"sent": encode_exactly(entry.sent)}
    else:
        kind = "rejection"
        values = {each.name: getattr(entry, each.name) for each in fields(Rejection)}
    return json.dumps([_VERSION, kind, values], default=_plain).encode()


def decode_entry(encoded: bytes) -> Entry:
    """The entry that was encoded.

    Raises:
        ValueError: it is not an entry, or one of a release that this one cannot read.
    """
    try:
        *version, kind, values = json.loads(encoded)
        if version not in ([], [_VERSION]):
            raise ValueError(f"an entry of version {version}")
        for name in values.keys() & _RESTORED.keys():
            values[name] = _RESTORED[name](values[name])
        return _KINDS[kind](**values)
    except (AttributeError, InvalidJsonError, KeyError, TypeError) as error:
        raise ValueError("not an entry") from error


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(type(value))


def _issues(values: list[list[str]]) -> tuple[Issue, ...]:
    return tuple(Issue(*value) for value in values)


def _sent(text: str) -> Any:
    return decode(text.encode(), max_depth=0).value


_RESTORED: Mapping[str, Callable[[Any], Any]] = {
    "timestamp": datetime.fromisoformat,
    "received_at": datetime.fromisoformat,
    "content_hash": bytes.fromhex,
    "errors": _issues,
    "warnings": _issues,
    "sent": _sent,
}

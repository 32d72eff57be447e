"""Entries as bytes, and back, so that draining makes the row that was due."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from app.errors import InvalidJsonError
from app.pipeline.issues import Issue
from app.pipeline.json_decode import decode
from app.pipeline.json_encode import encode_exactly
from app.pipeline.record import Record
from app.pipeline.rejection import Rejection
from app.store.write.insert import Entry

_KINDS: Mapping[str, type[Entry]] = {"record": Record, "rejection": Rejection}
_NAMES = {kind: (name, tuple(kind.__annotations__)) for name, kind in _KINDS.items()}


def encode_entry(entry: Entry) -> bytes:
    """All of an entry, as ASCII JSON: a text may hold what UTF-8 cannot."""
    kind, names = _NAMES[type(entry)]
    values = {name: getattr(entry, name) for name in names}
    if isinstance(entry, Record):
        values["sent"] = encode_exactly(entry.sent)
    return json.dumps([kind, values], default=_plain).encode()


def decode_entry(encoded: bytes) -> Entry:
    """The entry that was encoded.

    Raises:
        ValueError: it is none, or one of another release.
    """
    try:
        kind, values = json.loads(encoded)
        restored = {
            name: _RESTORED.get(name, _as_it_is)(value)
            for name, value in values.items()
        }
        return _KINDS[kind](**restored)
    except (AttributeError, InvalidJsonError, KeyError, TypeError) as error:
        raise ValueError("not an entry") from error


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(type(value))


def _remarks(values: list[list[str]]) -> tuple[Issue, ...]:
    return tuple(Issue(*value) for value in values)


def _sent(text: str) -> Any:
    return decode(text.encode(), max_depth=0).value


def _as_it_is(value: Any) -> Any:
    return value


_RESTORED: Mapping[str, Callable[[Any], Any]] = {
    "timestamp": datetime.fromisoformat,
    "received_at": datetime.fromisoformat,
    "content_hash": bytes.fromhex,
    "errors": _remarks,
    "warnings": _remarks,
    "sent": _sent,
}

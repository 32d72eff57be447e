"""Cursors: the position at which a page ended, bound to its query.

A cursor holds only a position. The query parameters decide which rows are read, so a
forged cursor leads to another position in the same query.
"""

import base64
import binascii
import hashlib
import struct
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson

from app.request_errors import InvalidCursorError
from app.store.read.events import KeysetPosition

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DIGEST_BYTES = 16
# Microseconds since 1970, the id, and a digest of both with the query.
_FORM = struct.Struct(f">q16s{_DIGEST_BYTES}s")


def write_cursor(place: KeysetPosition, *, query: object) -> str:
    """A cursor as text that needs no escaping in a URL.

    `query` says which rows are read, as something that orjson writes.
    """
    at = (place.at - _EPOCH) // _MICROSECOND
    signed = orjson.dumps([at, str(place.id), query], option=orjson.OPT_SORT_KEYS)
    digest = hashlib.blake2b(signed, digest_size=_DIGEST_BYTES).digest()
    packed = _FORM.pack(at, place.id.bytes, digest)
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def read_cursor(cursor: str, *, query: object) -> KeysetPosition:
    """The place where the page before ended.

    Raises:
        InvalidCursorError: it is not as it was written, or of another query.
    """
    place = None
    with suppress(binascii.Error, OverflowError, UnicodeError, struct.error):
        packed = base64.b64decode(cursor.encode() + b"==", b"-_", validate=True)
        at, id_, _ = _FORM.unpack(packed)
        place = KeysetPosition(_EPOCH + at * _MICROSECOND, UUID(bytes=id_))
    # Also the bits of base64 that mean nothing are as they were written.
    if place is None or write_cursor(place, query=query) != cursor:
        raise InvalidCursorError(
            "Give the `next_cursor` of the page before, with the same filters."
        )
    return place

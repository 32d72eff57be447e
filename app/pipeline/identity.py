"""The identity of an event: equal for a retry, different for any other event.

An id is a UUID (RFC 9562, version 8) of a BLAKE2b-128 over length-prefixed parts:
source, event, user id, group id and message id where there is a message id, else source
and content; a CloudEvent adds its own source. The forms carry different tags, so that
none can imitate another.
"""

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from types import MappingProxyType
from typing import Any

from app.events.envelope import GROUP_NAMES, MAX_TEXT
from app.pipeline.json_encode import encode_exactly, encode_plain

DIGEST_BYTES = 16
_BY_MESSAGE = b"rollcall.event.message.2"
_BY_CLOUDEVENT = b"rollcall.event.cloudevent.1"
_BY_CONTENT = b"rollcall.event.content.2"
_CONTENT = blake2b(b"18:rollcall.content.2", digest_size=DIGEST_BYTES)
_REJECTION = b"rollcall.rejection.1"

_GROUP_NAMES = frozenset(GROUP_NAMES)
# The beginning of a framed id, by its length.
_LENGTHS = [f"{length}:" for length in range(MAX_TEXT + 1)]
_HEX_VERSION = "8"
_HEX_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def content_of(
    fields: Mapping[str, Any],
    timestamp_raw: str,
    extra: Mapping[str, Any] = MappingProxyType({}),
    *,
    needs_exact_encoding: bool = False,
) -> bytes:
    """The content of an event as bytes that are equal for equal content.

    Event, user id, group id, timestamp, properties, context and unknown fields: under
    canonical names, before any repair, keys sorted. 1 and 1.0 differ; null, absent and
    an empty context do not. Message id, known SDK fields, route and time of receipt are
    no part of it.

    Args:
        fields: by canonical names, with values as sent.
        timestamp_raw: the timestamp as sent, as text.
        extra: the unknown fields, as sent.
        needs_exact_encoding: whether the plain encoder cannot write the values.
    """
    content = [
        fields["event"],
        fields["user_id"],
        fields.get("group_id"),
        timestamp_raw,
        fields["properties"],
        without_group(fields.get("context")),
    ]
    if extra:
        content.append(extra)
    return (
        encode_exactly(content).encode()
        if needs_exact_encoding
        else encode_plain(content)
    )


def without_group(context: Any) -> Any:
    """The context as a part of the content."""
    if not context:
        return {}
    if type(context) is not dict or _GROUP_NAMES.isdisjoint(context):
        return context
    if len(context) == 1:
        return {}
    return {name: v for name, v in context.items() if name not in _GROUP_NAMES}


def hash_content(content: bytes) -> bytes:
    """16 bytes that differ where the content differs."""
    hashed = _CONTENT.copy()
    hashed.update(_framed(content))
    return hashed.digest()


def identify(  # noqa: PLR0913 - each is hashed, and few but this function have all
    source: str,
    *,
    event: str,
    user_id: str,
    group_id: str | None,
    message_id: str | None,
    content: bytes,
    origin: str | None = None,
) -> str:
    """The id of an event, as the text of a UUID.

    Args:
        source: the sender; sources never collide.
        event: its name, as stored.
        user_id: as stored.
        group_id: as stored; never empty.
        message_id: the sender's own id of the event, if it gave one.
        content: from `content_of`.
        origin: the attribute `source` of a CloudEvent, whose `id` is unique only there.
    """
    if message_id is None:
        return _uuid(_BY_CONTENT, source, _framed(content))
    group = group_id or ""
    # Written out, because this is on the path of every event.
    text = (
        f"{len(event)}:{event}{_LENGTHS[len(user_id)]}{user_id}"
        f"{_LENGTHS[len(group)]}{group}{_LENGTHS[len(message_id)]}{message_id}"
    )
    if text.isascii():  # then lengths in characters are lengths in bytes
        framed = text.encode()
    else:
        parts = (event, user_id, group, message_id)
        framed = b"".join(_framed(part.encode()) for part in parts)
    if origin is None:
        return _uuid(_BY_MESSAGE, source, framed)
    return _uuid(_BY_CLOUDEVENT, source, framed + _framed(origin.encode()))


def identify_rejection(
    source: str, *, message_id: str | None, payload: str, reason: str
) -> str:
    """The id of a rejected event: a body sent again adds no second row."""
    message = b"" if message_id is None else b"=" + message_id.encode()
    parts = message, payload.encode(), reason.encode()
    return _uuid(_REJECTION, source, b"".join(map(_framed, parts)))


@lru_cache
def _begun(tag: bytes, source: str) -> blake2b:
    """The hash of the parts that all ids of a source begin with."""
    framed = _framed(tag) + _framed(source.encode())
    return blake2b(framed, digest_size=DIGEST_BYTES)


def _framed(part: bytes) -> bytes:
    return b"%d:%b" % (len(part), part)


def _uuid(tag: bytes, source: str, framed: bytes) -> str:
    hashed = _begun(tag, source).copy()
    hashed.update(framed)
    h = hashed.hexdigest()
    variant = _HEX_VARIANT[h[16]]
    return f"{h[:8]}-{h[8:12]}-{_HEX_VERSION}{h[13:16]}-{variant}{h[17:20]}-{h[20:]}"

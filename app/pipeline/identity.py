"""The identity of an event: equal for a retry, different for any other event.

An id is a UUID (RFC 9562, version 8) of a BLAKE2b-128 over length-prefixed parts:
source, event, user id, group id and message id where there is a message id, else source
and content; a CloudEvent adds its own source. The forms carry different tags, so that
none can imitate another.
"""

from functools import lru_cache
from hashlib import blake2b
from typing import Any

from orjson import Fragment

from app.events.envelope import GROUP_NAMES
from app.pipeline.fields.canonical import CanonicalEvent
from app.pipeline.json_encode import encode_exactly, encode_plain

DIGEST_BYTES = 16
_BY_MESSAGE = b"rollcall.event.message.2"
_BY_CLOUDEVENT = b"rollcall.event.cloudevent.1"
_BY_CONTENT = b"rollcall.event.content.2"
_CONTENT = b"18:rollcall.content.2"  # framed as the others are by `_framed`
_REJECTION = b"rollcall.rejection.1"

_GROUP_NAMES = frozenset(GROUP_NAMES)
_HEX_VERSION = "8"
_HEX_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def content_of(
    event: CanonicalEvent,
    *,
    timestamp_raw: str,
    odd: bool,
    properties: bytes | None = None,
) -> bytes:
    """The content of an event as bytes that are equal for equal content.

    Event, user id, group id, timestamp, properties, context and unknown fields: under
    canonical names, before any repair, keys sorted. 1 and 1.0 differ; null, absent and
    an empty context do not. Message id, known SDK fields, route and time of receipt are
    no part of it.

    Args:
        event: with values as sent.
        timestamp_raw: the timestamp as sent, as text.
        odd: whether the plain encoder cannot write the values.
        properties: the properties as sent, if `encode_plain` has encoded them already.
    """
    fields = event.fields
    context = fields.get("context") or {}
    if type(context) is dict and not _GROUP_NAMES.isdisjoint(context):
        context = _without_group(context)
    content = [
        fields["event"],
        fields["user_id"],
        fields.get("group_id"),
        timestamp_raw,
        fields["properties"] if properties is None else Fragment(properties),
        context,
    ]
    if event.extra:
        content.append(event.extra)
    return encode_exactly(content).encode() if odd else encode_plain(content)


def _without_group(context: dict[str, Any]) -> dict[str, Any]:
    if len(context) == 1:
        return {}
    return {name: v for name, v in context.items() if name not in _GROUP_NAMES}


def hash_content(content: bytes) -> bytes:
    """16 bytes that differ where the content differs."""
    framed = b"%b%d:%b" % (_CONTENT, len(content), content)
    return blake2b(framed, digest_size=DIGEST_BYTES).digest()


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
        return _uuid(_from(_BY_CONTENT, source) + _framed(content))
    group = group_id or ""
    # Written out, because this is on the path of every event.
    text = (
        f"{len(event)}:{event}{len(user_id)}:{user_id}"
        f"{len(group)}:{group}{len(message_id)}:{message_id}"
    )
    if text.isascii():  # then lengths in characters are lengths in bytes
        framed = text.encode()
    else:
        parts = (event, user_id, group, message_id)
        framed = b"".join(_framed(part.encode()) for part in parts)
    framed = _from(_BY_MESSAGE if origin is None else _BY_CLOUDEVENT, source) + framed
    if origin is not None:
        framed += _framed(origin.encode())
    return _uuid(framed)


def identify_rejection(
    source: str, *, message_id: str | None, payload: str, reason: str
) -> str:
    """The id of a rejected event: a body sent again adds no second row."""
    message = b"" if message_id is None else b"=" + message_id.encode()
    parts = message, payload.encode(), reason.encode()
    return _uuid(_from(_REJECTION, source) + b"".join(map(_framed, parts)))


@lru_cache
def _from(tag: bytes, source: str) -> bytes:
    """The parts that all ids of a source begin with."""
    return _framed(tag) + _framed(source.encode())


def _framed(part: bytes) -> bytes:
    return b"%d:%b" % (len(part), part)


def _uuid(framed: bytes) -> str:
    h = blake2b(framed, digest_size=DIGEST_BYTES).hexdigest()
    variant = _HEX_VARIANT[h[16]]
    return f"{h[:8]}-{h[8:12]}-{_HEX_VERSION}{h[13:16]}-{variant}{h[17:20]}-{h[20:]}"

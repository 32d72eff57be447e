"""What makes two events the same event.

An id is a UUID (RFC 9562, version 8) of a BLAKE2b-128 over length-prefixed parts:
of source, user id and message id where there is a message id, else of source and
content. The forms carry different tags, so that neither can imitate the other.
"""

from hashlib import blake2b
from typing import Any

from app.events.encode import encode_exactly, encode_plain
from app.events.envelope import GROUP_NAMES

DIGEST_BYTES = 16
_BY_MESSAGE = b"rollcall.event.message.1"
_BY_CONTENT = b"rollcall.event.content.1"
_CONTENT = b"rollcall.content.1"
_REJECTION = b"rollcall.rejection.1"

_GROUP_NAMES = frozenset(GROUP_NAMES)
_HEX_VERSION = "8"
_HEX_VARIANT = "89ab"


def content_of(fields: dict[str, Any], *, odd: bool) -> bytes:
    """The content of an event as bytes that are equal for equal content.

    Event, user id, group id, timestamp, properties and context: decoded, under
    canonical names, before any repair, keys sorted. 1 and 1.0 differ; null, absent
    and an empty context do not. Message id, unknown keys, door and receipt are no
    part of it.

    Args:
        fields: under canonical names, values as sent.
        odd: whether they hold what the plain encoder cannot write.
    """
    context = fields.get("context") or {}
    if type(context) is dict and not _GROUP_NAMES.isdisjoint(context):
        context = {k: v for k, v in context.items() if k not in GROUP_NAMES}
    content = [
        fields["event"],
        fields["user_id"],
        fields.get("group_id"),
        fields["timestamp"],
        fields["properties"],
        context,
    ]
    return encode_exactly(content).encode() if odd else encode_plain(content)


def hash_content(content: bytes) -> bytes:
    """16 bytes that differ where the content differs."""
    return _digest(_CONTENT, content)


def identify(
    source: str, *, user_id: str, message_id: str | None, content: bytes
) -> str:
    """The id of an event, as the text of a UUID.

    Args:
        source: who sent it; sources never collide.
        user_id: as it is stored.
        message_id: the sender's own id of the event, if it gave one.
        content: from `content_of`.
    """
    if message_id is None:
        return _uuid(_digest(_BY_CONTENT, source.encode(), content))
    return _uuid(
        _digest(_BY_MESSAGE, source.encode(), user_id.encode(), message_id.encode())
    )


def identify_rejection(
    source: str, *, message_id: str | None, payload: str, reason: str
) -> str:
    """The id of a rejected event: a body sent again adds no second row."""
    message = b"" if message_id is None else b"=" + message_id.encode()
    return _uuid(
        _digest(_REJECTION, source.encode(), message, payload.encode(), reason.encode())
    )


def _digest(*parts: bytes) -> bytes:
    framed = b"".join([b"%d:%b" % (len(part), part) for part in parts])
    return blake2b(framed, digest_size=DIGEST_BYTES).digest()


def _uuid(digest: bytes) -> str:
    h = digest.hex()
    variant = _HEX_VARIANT[int(h[16], 16) & 3]
    return f"{h[:8]}-{h[8:12]}-{_HEX_VERSION}{h[13:16]}-{variant}{h[17:20]}-{h[20:]}"

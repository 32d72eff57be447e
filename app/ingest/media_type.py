"""The media type of a body (RFC 9110 section 8.3): JSON, NDJSON or an error."""

from typing import Literal, TypeAlias

from app.request_errors import UnsupportedMediaError

MediaType: TypeAlias = Literal["json", "ndjson"]

_TYPES: dict[bytes, MediaType] = {
    b"application/json": "json",
    b"application/cloudevents+json": "json",
    b"application/cloudevents-batch+json": "json",
    b"application/x-ndjson": "ndjson",
    b"application/ndjson": "ndjson",
    b"application/jsonl": "ndjson",
    b"application/x-jsonlines": "ndjson",
}
_FORM = b"application/x-www-form-urlencoded"
# Types that HTTP clients set on their own, whatever the body is.
_DEFAULTS = frozenset({b"", b"application/octet-stream", _FORM, b"text/plain"})
# ASCII is a part of UTF-8.
_CHARSETS = frozenset({b"utf-8", b"utf8", b"us-ascii", b"ascii"})
_USE = "Send JSON with the header `Content-Type: application/json`"


def read_media_type(content_type: bytes, *, lenient: bool) -> MediaType:
    """The format of a body, from its Content-Type.

    Args:
        content_type: the header, or empty if it is absent. A proxy may have joined
            equal values with commas.
        lenient: whether a type that clients set on their own means JSON.

    Raises:
        UnsupportedMediaError: it is neither JSON nor NDJSON, or not in UTF-8.
    """
    if content_type == b"application/json":
        return "json"
    values = {value.strip() for value in content_type.lower().split(b",")}
    if len(values) > 1:
        raise UnsupportedMediaError(f"Content-Type has several values. {_USE}.")
    name, *parameters = values.pop().split(b";")
    media_type = _TYPES.get(name.strip())
    if media_type is None:
        if not (lenient and name.strip() in _DEFAULTS):
            raise UnsupportedMediaError(_explain(name.strip()))
        media_type = "json"
    for parameter in parameters:
        key, _, value = parameter.strip().partition(b"=")
        if key == b"charset" and value.strip(b'"') not in _CHARSETS:
            raise UnsupportedMediaError("The charset must be UTF-8.")
    return media_type


def _explain(name: bytes) -> str:
    if not name:
        return f"Content-Type is absent. {_USE}."
    if name == _FORM:
        return (
            f"Content-Type says form fields, which some clients set on their own. "
            f"{_USE}; with curl, add -H 'Content-Type: application/json'."
        )
    if name.startswith(b"multipart/"):
        return f"Content-Type says multipart form data. {_USE}."
    return f"Content-Type must be application/json or application/x-ndjson. {_USE}."

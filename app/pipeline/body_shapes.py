"""Well-known wrong shapes of a body: each gets an error that names it."""

import json
import re
from codecs import BOM_UTF8
from typing import Any

from app.pipeline.fields.sanitize import shown_key

# The first pattern that matches the beginning of a body names its shape.
_SHAPES = (
    (rb"\x1f\x8b", "The body is gzip data. Add the header `Content-Encoding: gzip`."),
    (rb"\x28\xb5\x2f\xfd", "The body is zstd data. Add `Content-Encoding: zstd`."),
    (
        rb"\x78[\x01\x9c\xda]",
        "The body is deflate data. Add `Content-Encoding: deflate`.",
    ),
    (rb"\xff\xfe\0\0|\0\0\xfe\xff", "The body is in UTF-32. Send UTF-8."),
    (
        rb"\xff\xfe|\xfe\xff|\s*(?:[\[{\"\s]\0|\0[\[{\"\s])",
        "The body is in UTF-16. Send UTF-8.",
    ),
    (rb"PK\x03\x04", "The body is a ZIP archive. Send JSON."),
    (
        rb"--[^\r\n]{1,70}\r?\n(?i:Content-Disposition):",
        "The body is multipart form data. Send JSON.",
    ),
    (rb"[A-Za-z_][\w.%+\[\]-]*=", "The body has form fields. Send a JSON object."),
    (rb"\s*<", "The body is XML or HTML. Send JSON."),
    (rb"[\s\[{]*'", "The body has single quotes where JSON has double quotes."),
)
_SEVERAL = (
    "The body has several JSON values. Send an array of events, or one event a line "
    "with `Content-Type: application/x-ndjson`."
)
_SEARCHED_BYTES = 256 * 1024


def explain_undecodable(body: bytes) -> str | None:
    """Name the shape of a body that is not JSON; None if it has no well-known one.

    Args:
        body: decompressed, without a byte order mark of UTF-8.
    """
    for pattern, message in _SHAPES:
        if re.match(pattern, body):
            return message
    return _SEVERAL if _has_several_values(body) else None


def explain_text(value: str) -> str | None:
    """Name a JSON text that contains JSON; None for any other text."""
    start = value.lstrip()[:1]
    if start not in {"{", "["}:
        return None
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return None
    return (
        "This is text that contains JSON: it was encoded twice. Send the JSON itself."
    )


def explain_list(event: dict[str, Any]) -> str | None:
    """Name a list of events that stands under another key than `batch`.

    Args:
        event: an object without an event name.
    """
    for key, value in event.items():
        if key == "batch" and isinstance(value, str) and explain_text(value):
            return "`batch` is text that contains JSON. Send the list itself."
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return (
                f"A list stands under `{shown_key(key)}`. If it holds the events, send "
                "the list itself, or as `batch`."
            )
    return None


def _has_several_values(body: bytes) -> bool:
    """Whether a complete JSON value is followed by the start of another one."""
    text = body.removeprefix(BOM_UTF8)[:_SEARCHED_BYTES].decode(errors="replace")
    try:
        _, end = json.JSONDecoder().raw_decode(text.lstrip())
    except (ValueError, RecursionError):
        return False
    rest = text.lstrip()[end:].lstrip(" \t\r\n,")
    return rest[:1] in {"{", "[", '"'}

"""Server-sent events, each with JSON as its data (WHATWG HTML, section 9.2.6).

An empty line ends a frame. JSON as orjson writes it contains no line break.
"""

from datetime import UTC, datetime
from typing import Any

import orjson

# A browser reconnects after this many milliseconds.
START = b"retry: 1000\n\n"
HEARTBEAT = b":\n\n"


def frame(
    name: str, data: dict[str, Any], *, watermark: datetime | None = None
) -> bytes:
    """Encode one event; the watermark is its id, which a reconnecting browser sends."""
    id_ = f"id: {round(watermark.timestamp() * 1e6)}\n" if watermark else ""
    return b"event: %b\n%bdata: %b\n\n" % (
        name.encode(),
        id_.encode(),
        orjson.dumps(data),
    )


def read_watermark(last_event_id: str | None) -> datetime | None:
    """The watermark in a `Last-Event-ID`; None if absent or invalid."""
    try:
        return datetime.fromtimestamp(int(last_event_id or "") / 1e6, UTC)
    except (ValueError, OverflowError, OSError):
        return None

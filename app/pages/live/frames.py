"""What is sent to who watches: server-sent events, each with JSON as its data.

WHATWG HTML, section 9.2.6: a frame ends with an empty line, and data that is one
line of JSON can hold no line end of its own.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import orjson

from app.store.read.arrival import Arrival
from app.store.read.arrivals import Counts

# How long a browser waits before it comes back.
_RETRY_MS = 1_000

BEAT = b":\n\n"
START = b"retry: %d\n\n" % _RETRY_MS


def rows_frame(arrivals: list[Arrival], *, left_out: int, settled: datetime) -> bytes:
    """Rows, the newest first, and how many there was no room for.

    Args:
        arrivals: the rows.
        left_out: that matched, too.
        settled: what has arrived until then need not be sent again.
    """
    rows = [arrival._asdict() for arrival in arrivals]
    return _frame("rows", {"rows": rows, "left_out": left_out}, cursor_of(settled))


def minutes_frame(
    minutes: Iterable[tuple[datetime, Counts]], *, until: datetime, unread: int
) -> bytes:
    """Whole counts of some minutes, and how many arrivals nobody has looked at.

    Args:
        minutes: as seconds since 1970 in the frame.
        until: so far they are counted.
        unread: since the frame before.
    """
    counts = [[int(minute.timestamp()), *found] for minute, found in minutes]
    data = {"until": int(until.timestamp()), "minutes": counts, "unread": unread}
    return _frame("minutes", data)


def database_frame(*, there: bool) -> bytes:
    """Whether Postgres answers."""
    return _frame("database", {"there": there})


def missed_frame(rows: int) -> bytes:
    """How many rows were not sent because the watcher was slow."""
    return _frame("missed", {"rows": rows})


def end_frame() -> bytes:
    """That whoever watches may do so no longer."""
    return _frame("end", {"reason": "signed_out"})


def cursor_of(settled: datetime) -> str:
    """A moment as the id of a frame: microseconds since 1970."""
    return str(round(settled.timestamp() * 1_000_000))


def read_cursor(last_event_id: str | None) -> datetime | None:
    """The moment that a browser has come back with; None if it has not, or not one."""
    try:
        return datetime.fromtimestamp(int(last_event_id or "") / 1_000_000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _frame(name: str, data: Any, id_: str | None = None) -> bytes:
    lines = [b"event: " + name.encode(), b"data: " + orjson.dumps(data)]
    if id_ is not None:
        lines.append(b"id: " + id_.encode())
    return b"\n".join(lines) + b"\n\n"

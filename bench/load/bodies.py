"""Distinct events, made in advance: whole HTTP requests, one after the other in a file.

Every request of a file has the same length, so that a load generator finds the n-th
one by seeking, and pays nothing for making it.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.database import BenchmarkError

_DAY_S = 86_400
_DAY_MS = _DAY_S * 1000
_MASK = (1 << 64) - 1
# Odd, so that multiplying by them modulo 2^64 maps no two numbers to one; large, so
# that neighbours end far apart: ids that rise in order would spare the indexes.
_USER, _GROUP, _MESSAGE = (
    0x9E3779B97F4A7C15,
    0xD1B54A32D192ED03,
    0x8CB92BA72F3D8DD7,
)
_ID = "%016x"
_ENVELOPE = (
    '"user_id":"6a-%(user)s-fee8h345","message_id":"7b-%(message)s-55dsk3f0a1",'
    '"context":{"group_id":"4f-%(group)s-fef54ds3"},'
    '"timestamp":"%(day)sT%(hour)02d:%(minute)02d:%(second)02d.%(millisecond)03dZ"}'
)
# The two documented events, with the message id that SDKs add.
_SIGNED_UP = (
    '{"event":"signed_up","properties":{"email":"john.%(user)s@example.com",'
    '"name":"John %(group)s","first_name":"John","last_name":"%(group)s"},' + _ENVELOPE
)
_ACCOUNT_ADDED_USER = (
    '{"event":"account_added_user","properties":{"user_name":"Mark %(group)s",'
    '"user_email":"mark.%(user)s@example.com","user_role":"Developer"},' + _ENVELOPE
)
_CHUNK = 2_000


def event(number: int, *, day: str) -> bytes:
    """The event of a number: JSON of a fixed length, no two alike below 2^64.

    Args:
        number: even ones are `signed_up`, odd ones `account_added_user`.
        day: of its timestamp, as 2026-01-31.
    """
    milliseconds = number % _DAY_MS
    seconds = milliseconds // 1000
    text = (_ACCOUNT_ADDED_USER if number % 2 else _SIGNED_UP) % {
        "user": _ID % (number * _USER & _MASK),
        "group": _ID % (number * _GROUP & _MASK),
        "message": _ID % (number * _MESSAGE & _MASK),
        "day": day,
        "hour": seconds // 3600,
        "minute": seconds // 60 % 60,
        "second": seconds % 60,
        "millisecond": milliseconds % 1000,
    }
    return text.encode().ljust(_LENGTH)


def yesterday() -> str:
    """A day that is over in every zone of UTC's morning: no event is from ahead."""
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() - _DAY_S))


def bodies(first: int, count: int, *, batch: int, day: str) -> Iterator[bytes]:
    """Bodies of one event, or of an array of them, from event number `first` on."""
    for start in range(first, first + count * batch, batch):
        events = [event(number, day=day) for number in range(start, start + batch)]
        yield events[0] if batch == 1 else b"[" + b",".join(events) + b"]"


@dataclass(frozen=True, slots=True)
class Requests:
    """A file of HTTP/1.1 requests to `/track`.

    Attributes:
        path: of the file.
        size: bytes of each request.
        count: how many there are.
        batch: events in each.
    """

    path: Path
    size: int
    count: int
    batch: int

    def part(self, first: int, count: int) -> "Part":
        """Those from the first one on.

        Raises:
            BenchmarkError: so many were not made.
        """
        if first + count > self.count:
            raise BenchmarkError(f"{self.count} requests are too few for this run.")
        return Part(self, first, count)


@dataclass(frozen=True, slots=True)
class Part:
    """Requests that one run may send."""

    requests: Requests
    first: int
    count: int


def write_requests(
    path: Path, *, key: str, count: int, batch: int, first: int = 0
) -> Requests:
    """Make a file of requests, and let it reach the disk before anything is timed.

    Args:
        path: of the file; a few hundred MB for ten seconds of load.
        key: a write key, sent as a bearer token.
        count: how many.
        batch: events in each.
        first: number of the first event.
    """
    day = yesterday()
    length = len(next(bodies(first, 1, batch=batch, day=day)))
    head = (
        "POST /track HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()
    with path.open("wb") as file:
        for start in range(0, count, _CHUNK):
            made = bodies(
                first + start * batch,
                min(_CHUNK, count - start),
                batch=batch,
                day=day,
            )
            file.writelines(head + body for body in made)
        file.flush()
        os.fsync(file.fileno())
    return Requests(path, len(head) + length, count, batch)


def _length_of(template: str) -> int:
    width = dict.fromkeys(("user", "group", "message"), _ID % 0)
    clock = dict.fromkeys(("hour", "minute", "second", "millisecond"), 0)
    return len(template % {**width, **clock, "day": "2026-01-31"})


_LENGTH = max(map(_length_of, (_SIGNED_UP, _ACCOUNT_ADDED_USER)))

"""The paths that take events, and how each is answered."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Door:
    """A path for events, as its senders take its answers.

    Attributes:
        path: without a trailing slash; the same with one is the same door.
        lenient: whether whatever can be decoded is answered 200: the SDKs of this
            door drop a whole batch, unread, on a 4xx.
    """

    path: str
    lenient: bool = False


DOORS = (Door("/track"), Door("/api/track"), Door("/v1/track", lenient=True))

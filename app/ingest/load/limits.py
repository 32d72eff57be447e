"""Limits of one request that sends events; from the settings."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrackLimits:
    """Limits of one request, and of all of a worker.

    Attributes:
        max_bytes: of one body, decompressed.
        max_events: in one body.
        max_values: in all of these.
        inflight_bytes: of bodies in flight, from the first byte to the commit.
        unauthenticated_bytes: of bodies that are read before it is known who sends.
        max_unauthenticated_bytes: of one such body, decompressed.
        answer_s: from the last byte of a body to its response.
        slots: those of the requests that are worked on at a time.
    """

    max_bytes: int
    max_events: int
    max_values: int
    inflight_bytes: int
    unauthenticated_bytes: int
    max_unauthenticated_bytes: int
    answer_s: float
    slots: int

"""The paths that take events: where each sender's SDK knocks, and how it is answered.

A door is a description. Behind all of them is one pipeline (`app.ingest.handler`).
"""

from dataclasses import dataclass
from typing import Any, Literal

# The calls of the Segment family that are no track: Rollcall has no use for them.
OTHER_CALLS = ("identify", "group", "page", "screen", "alias")


@dataclass(frozen=True, slots=True)
class TrackRoute:
    """A path for events, as its senders take its answers.

    Attributes:
        path: without a trailing slash; the same with one is the same door.
        lenient: whether whatever can be decoded is answered 200: the SDKs of this
            door drop a whole batch, unread, on a 4xx. JSON is then also taken under
            the types that HTTP clients set by themselves: one SDK calls it a form.
        calls: `track` takes everything for an event; `typed` ignores what its
            `type` says is another call; `other` ignores everything.
        lists_warnings: whether the answer has all warnings in one list, too.
    """

    path: str
    lenient: bool = False
    calls: Literal["track", "typed", "other"] = "track"
    lists_warnings: bool = False

    def ignores(self, event: Any) -> bool:
        """Whether this is a call that is answered, counted and not stored."""
        if self.calls == "typed":
            return isinstance(event, dict) and event.get("type") in OTHER_CALLS
        return self.calls == "other"


def _sdk(*paths: str) -> tuple[TrackRoute, ...]:
    return tuple(TrackRoute(path, lenient=True, calls="typed") for path in paths)


def _other(prefix: str, *, lists_warnings: bool = False) -> tuple[TrackRoute, ...]:
    return tuple(
        TrackRoute(
            f"{prefix}/{call}",
            lenient=True,
            calls="other",
            lists_warnings=lists_warnings,
        )
        for call in OTHER_CALLS
    )


TRACK_ROUTES = (
    TrackRoute("/track"),
    # ThriveStack's API.
    TrackRoute("/api/track", lists_warnings=True),
    *_other("/api", lists_warnings=True),
    # Segment's API, which RudderStack, Customer.io, Hightouch and others speak.
    *_sdk("/v1/batch", "/v1/import", "/v1/track"),
    *_other("/v1"),
    # June's.
    *_sdk("/sdk/batch", "/sdk/import", "/sdk/track"),
    *_other("/sdk"),
    # Jitsu's, for servers and for browsers.
    *_sdk("/api/s/s2s/track", "/api/s/track"),
    *_other("/api/s/s2s"),
    *_other("/api/s"),
)

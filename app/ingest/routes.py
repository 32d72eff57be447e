"""The paths that take events, with the differences that the SDKs of senders need.

All of them share one pipeline (`app.ingest.handler`).
"""

from dataclasses import dataclass
from typing import Any, Literal

from app.request_errors import NotFoundError

# Calls of the Segment family other than `track`, which Rollcall does not store.
OTHER_CALLS = ("identify", "group", "page", "screen", "alias")
# No route is longer. A longer path is not percent-decoded, which would take up to
# 0.3 us a byte for a request of an unknown client.
MAX_PATH_BYTES = 2_048


@dataclass(frozen=True, slots=True)
class TrackRoute:
    """A path that takes events, and its responses.

    Attributes:
        path: without a trailing slash; the same path with one is the same route.
        lenient: whether every body that can be decoded gets a 200, because the SDKs
            of this route drop a whole batch on a 4xx. JSON is then also accepted under
            the media types that HTTP clients set by default, such as that of a form.
        calls: `track` treats every item as an event; `typed` ignores an item whose
            `type` names another call; `other` ignores every item.
        lists_warnings: whether the response also has all warnings in one list.
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

_NOT_FOUND = "There is nothing at this path. Events are sent by POST to {}.".format(
    ", ".join(route.path for route in TRACK_ROUTES if route.calls != "other")
)


def nothing_at_this_path() -> NotFoundError:
    """The error for a path without a route; it names the paths of events."""
    return NotFoundError(_NOT_FOUND)

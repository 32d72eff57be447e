"""From the bytes of a body to a verdict on each event in it.

All of it is pure computing, so that a large body can be left to a thread.
"""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from app.errors import (
    EmptyBodyError,
    InvalidBodyError,
    TooManyEventsError,
    TooManyValuesError,
)
from app.pipeline.json_decode import decode, has_more_values
from app.pipeline.process import process_event
from app.pipeline.record import Body, Policy, RequestContext
from app.store.write.insert import Entry

# An event's size is that of its compact JSON, which may be longer than what was sent:
# 1e15 becomes 1000000000000000.0.
_MAX_GROWTH = 4


class Ignored:
    """A call that is no event: answered and counted, never stored."""


IGNORED = Ignored()


class Unpacked(NamedTuple):
    """The events of a body, not yet judged.

    Attributes:
        value: all of the body.
        events: what stands where events stand, in the order sent.
        body: what holds for all of them.
    """

    value: Any
    events: list[Any]
    body: Body

    @property
    def is_one_object(self) -> bool:
        """Whether the body is an event itself, in no array and no batch."""
        return len(self.events) == 1 and self.events[0] is self.value


def unpack(
    body: bytes,
    *,
    policy: Policy,
    max_events: int,
    lenient: bool,
    max_values: int = sys.maxsize,
) -> Unpacked:
    """Decode a body and find the events in it.

    Args:
        body: decompressed.
        policy: what an event may be.
        max_events: in one body.
        lenient: whether a body may hold none, or be one that is no object.
        max_values: of any kind in one body; far more would take far more memory than
            their bytes.

    Raises:
        InvalidJsonError, InvalidBodyError, TooManyEventsError, TooManyValuesError,
        EmptyBodyError.
    """
    if has_more_values(body, max_values):
        raise TooManyValuesError(f"A body holds at most {max_values} values.")
    decoded = decode(body, max_depth=policy.max_depth)
    events = _events_in(decoded.value)
    if len(events) > max_events:
        raise TooManyEventsError(f"A body holds at most {max_events} events.")
    if not lenient:
        if not events:
            raise EmptyBodyError("The body holds no event.")
        if not isinstance(decoded.value, dict | list):
            raise InvalidBodyError("Send one JSON object, or an array of objects.")
    return Unpacked(
        decoded.value,
        events,
        Body(
            plain=decoded.plain,
            deep=decoded.deep,
            large=_MAX_GROWTH * len(body) > policy.max_event_bytes,
        ),
    )


def process_events(
    unpacked: Unpacked,
    *,
    request_context: RequestContext,
    policy: Policy,
    idempotency_key: str | None = None,
    ignores: Callable[[Any], bool] = lambda _: False,
) -> list[Entry | Ignored]:
    """Judge each event of a body.

    Args:
        unpacked: from `unpack`.
        request_context: who sent it, and when.
        policy: what an event may be.
        idempotency_key: the header; of no effect in a batch, where it would give
            all events one name.
        ignores: tells the calls that are no events.
    """
    key = idempotency_key if unpacked.is_one_object else None
    return [
        IGNORED
        if ignores(event)
        else process_event(
            event,
            request_context=request_context,
            policy=policy,
            body=unpacked.body,
            idempotency_key=key,
        )
        for event in unpacked.events
    ]


def _events_in(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    batch = value.get("batch") if isinstance(value, dict) else None
    return batch if isinstance(batch, list) else [value]

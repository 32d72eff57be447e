"""Unpacking: from the bytes of a body to the events in it, and their verdicts.

Pure computation, so a large body can be processed in a thread.
"""

import sys
from codecs import BOM_UTF8
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.pipeline.body_shapes import explain_text, explain_undecodable
from app.pipeline.json_decode import Decoded, decode, depth_of, has_more_values
from app.pipeline.outcome import Entry
from app.pipeline.process import process_event
from app.pipeline.record import BodyTraits, Policy, RequestContext
from app.request_errors import (
    EmptyBodyError,
    InvalidBodyError,
    InvalidJsonError,
    TooManyEventsError,
    TooManyValuesError,
)

# The size of an event is that of its compact JSON, which may be longer than the
# payload: 1e15 becomes 1000000000000000.0.
_MAX_GROWTH = 4


class Ignored:
    """A call that is not an event: counted in the response, never stored."""


IGNORED = Ignored()


@dataclass(slots=True)
class Unpacked:
    """The events of a body, before they are processed.

    Attributes:
        value: the decoded body; for NDJSON the list of its lines.
        events: the decoded events, in the order sent.
        body: traits that all of them share.
    """

    value: Any
    events: list[Any]
    body: BodyTraits

    @property
    def is_one_object(self) -> bool:
        """Whether the body is an event itself, in neither an array nor a batch."""
        return len(self.events) == 1 and self.events[0] is self.value


def unpack(  # noqa: PLR0913 - files set other limits, and each form stands alone
    body: bytes,
    *,
    policy: Policy,
    max_events: int,
    lenient: bool,
    max_values: int = sys.maxsize,
    is_ndjson: bool = False,
    attributes: dict[str, Any] | None = None,
) -> Unpacked:
    """Decode a body and find the events in it.

    Args:
        body: decompressed.
        policy: the limits of an event.
        max_events: in one body.
        lenient: whether a body may have no event, or be neither object nor array.
        max_values: of any kind in one body; far more would take far more memory than
            their bytes.
        is_ndjson: whether each line is a body of its own.
        attributes: of a CloudEvent in binary mode; its data is the body.

    Raises:
        InvalidJsonError, InvalidBodyError, TooManyEventsError, TooManyValuesError,
        EmptyBodyError.
    """
    if not body.strip() or body == BOM_UTF8:
        raise EmptyBodyError("The body is empty. Send a JSON object or an array.")
    if has_more_values(body, max_values):
        raise TooManyValuesError(f"A body has at most {max_values} values.")
    if is_ndjson:
        decoded = _decode_lines(body, policy)
        events = [event for value in decoded.value for event in _events_in(value)]
    else:
        decoded = _decode(body, policy)
        if attributes is not None:
            # A header may hold invalid UTF-8, which an id must not.
            value = attributes | {"data": decoded.value}
            # The level of the attributes does not count.
            deep = decoded.deep and depth_of(decoded.value) > policy.max_depth
            decoded = Decoded(value, plain=False, deep=deep)
        events = _events_in(decoded.value)
    if len(events) > max_events:
        raise TooManyEventsError(f"A body has at most {max_events} events.")
    if not lenient:
        _require_events(decoded.value, events)
    is_large = _MAX_GROWTH * len(body) > policy.max_event_bytes
    # By position: by name, a call of a class takes three times as long.
    traits = BodyTraits(decoded.plain, decoded.deep, is_large)
    return Unpacked(decoded.value, events, traits)


def process_events(
    unpacked: Unpacked,
    *,
    request_context: RequestContext,
    policy: Policy,
    ignores: Callable[[Any], bool] = lambda _: False,
) -> list[Entry | Ignored]:
    """Process each event of a body.

    Args:
        unpacked: from `unpack`.
        request_context: the source, the time of receipt, and an idempotency key, which
            is without effect in a batch: it would give all events one message id.
        policy: the limits of an event.
        ignores: whether a decoded event is a call that is not an event.
    """
    if request_context.idempotency_key is not None and not unpacked.is_one_object:
        request_context = request_context._replace(idempotency_key=None)
    return [
        IGNORED
        if ignores(event)
        else process_event(
            event,
            request_context=request_context,
            policy=policy,
            body=unpacked.body,
        )
        for event in unpacked.events
    ]


def _decode(body: bytes, policy: Policy, *, place: str = "") -> Decoded:
    try:
        return decode(body, max_depth=policy.max_depth)
    except InvalidJsonError as error:
        explanation = explain_undecodable(body) or error.detail
        raise InvalidJsonError(place + explanation) from None


def _decode_lines(body: bytes, policy: Policy) -> Decoded:
    """Decode NDJSON: each line that is not blank is one JSON value."""
    lines = [
        _decode(line, policy, place=f"Line {number}: ")
        for number, line in enumerate(body.splitlines(), 1)
        if line.strip()
    ]
    return Decoded(
        [line.value for line in lines],
        plain=all(line.plain for line in lines),
        deep=any(line.deep for line in lines),
    )


def _events_in(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    batch = value.get("batch") if isinstance(value, dict) else None
    return batch if isinstance(batch, list) else [value]


def _require_events(value: Any, events: list[Any]) -> None:
    if not events:
        raise EmptyBodyError("The body has no event.")
    if not isinstance(value, (dict, list)):
        explanation = explain_text(value) if isinstance(value, str) else None
        raise InvalidBodyError(
            explanation or "Send a JSON object, or an array of objects."
        )

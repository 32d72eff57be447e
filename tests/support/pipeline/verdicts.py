"""The pure pipeline as tests call it: bytes in, a verdict on each event out."""

import copy
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from app.events import account_added_user, signed_up
from app.events.catalog import built_in_catalog
from app.pipeline.issues import Issue
from app.pipeline.json_decode import decode
from app.pipeline.process import process_event
from app.pipeline.record import BodyTraits, Policy, Record, RequestContext
from app.pipeline.rejection import Rejection
from app.pipeline.timestamp import TimestampPolicy

RECEIPT = RequestContext(
    "billing-backend", datetime(2026, 11, 21, tzinfo=UTC), "request-1"
)
CATALOG = built_in_catalog()
POLICY = Policy(TimestampPolicy(), catalog=CATALOG)

# Not one of the documented samples, so that nothing in it earns a warning.
SIGNED_UP: dict[str, Any] = signed_up.SAMPLE | {"timestamp": "2023-11-02T00:30:08.276Z"}
ADDED_USER: dict[str, Any] = account_added_user.SAMPLE


def signed_up_with(**changes: Any) -> dict[str, Any]:
    """A valid `signed_up` without warnings, with these fields on top."""
    return copy.deepcopy(SIGNED_UP) | changes


def added_user_with(**changes: Any) -> dict[str, Any]:
    """A valid `account_added_user` without warnings, with these fields on top."""
    return copy.deepcopy(ADDED_USER) | changes


def without(event: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in names}


def with_properties(event: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return event | {"properties": event["properties"] | changes}


def judge_value(
    value: Any,
    body: bytes,
    *,
    request_context: RequestContext = RECEIPT,
    policy: Policy = POLICY,
    idempotency_key: str | None = None,
) -> Record | Rejection:
    """The verdict on one value that was found in this body."""
    decoded = decode(body, max_depth=policy.max_depth)
    flags = BodyTraits(decoded.plain, decoded.deep, len(body) > policy.max_event_bytes)
    return process_event(
        value,
        request_context=request_context._replace(idempotency_key=idempotency_key),
        policy=policy,
        body=flags,
    )


def judge_body(body: bytes, **options: Any) -> Record | Rejection:
    """The verdict on a body that is one event."""
    value = decode(body, max_depth=POLICY.max_depth).value
    return judge_value(value, body, **options)


def judge_array(body: bytes) -> list[Record | Rejection]:
    """The verdicts on a body that is an array of events."""
    values = decode(body, max_depth=POLICY.max_depth).value
    return [judge_value(value, body) for value in values]


def stored(event: Any, **options: Any) -> Record:
    """The record of an event, given as bytes or as a value."""
    verdict = judge_body(_as_body(event), **options)
    assert isinstance(verdict, Record), verdict.errors
    return verdict


def rejected(event: Any, **options: Any) -> Rejection:
    """The rejection of an event that is not stored."""
    verdict = judge_body(_as_body(event), **options)
    assert isinstance(verdict, Rejection), "was stored"
    return verdict


def told(issues: Iterable[Issue]) -> set[tuple[str, str]]:
    """Code and path of each remark."""
    return {(issue.code, issue.path) for issue in issues}


def leaves(value: Any) -> Iterator[str | float]:
    """Each text, key and double of a JSON value."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    elif isinstance(value, str | float):
        yield value


def is_storable_object(text: str) -> bool:
    """Whether Postgres takes it as jsonb: strict JSON without NUL and surrogates."""
    value = json.loads(text)
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    texts = [leaf for leaf in leaves(value) if isinstance(leaf, str)]
    return isinstance(value, dict) and not any("\0" in leaf for leaf in texts)


def _as_body(event: Any) -> bytes:
    return event if isinstance(event, bytes) else json.dumps(event).encode()

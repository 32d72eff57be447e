"""The pipeline of one event: from decoded JSON to a record or a rejection.

canonical names -> sanitize -> ids -> validate -> timestamp -> identity -> Record, or a
Rejection that says why not. Pure: request context and policy are arguments.
"""

import json
from typing import Any

from app.pipeline.body_shapes import explain_text
from app.pipeline.cloudevents import canonicalise_cloudevent, is_cloudevent
from app.pipeline.fields.canonical import CanonicalEvent, canonicalise
from app.pipeline.fields.clean import clean, warn_of_unknown
from app.pipeline.fields.corrections import NO_CORRECTIONS, Corrections
from app.pipeline.fields.sanitize import Sanitizer
from app.pipeline.identity import content_of, hash_content, identify
from app.pipeline.issues import ErrorCode, Issue
from app.pipeline.json_decode import depth_of
from app.pipeline.json_encode import encode_exactly, encode_plain
from app.pipeline.record import Body, Policy, Record, RequestContext
from app.pipeline.rejection import Rejection, reject
from app.pipeline.timestamp import (
    ParsedTimestamp,
    TimestampError,
    assume_received,
    parse_timestamp,
)
from app.pipeline.validation import missing_field, validate


def process_event(  # noqa: PLR0913 - the inputs of the pipeline
    sent: Any,
    *,
    request_context: RequestContext,
    policy: Policy,
    body: Body,
    idempotency_key: str | None = None,
    corrections: Corrections = NO_CORRECTIONS,
) -> Record | Rejection:
    """Validate and normalise one event.

    Args:
        sent: one decoded JSON value; not modified.
        request_context: the source and the time of receipt.
        policy: the limits of an event, from the settings.
        body: traits that all events of the body share.
        idempotency_key: the header, where the body is this one object.
        corrections: changes by an operator who replays the event.
    """
    if not isinstance(sent, dict):
        return reject(sent, request_context=request_context, errors=[_no_object(sent)])
    size_issue = _check_size(sent, policy=policy, body=body)
    if size_issue is not None:
        return reject(
            sent,
            request_context=request_context,
            errors=[size_issue],
            message_id=idempotency_key,
        )
    if corrections is not NO_CORRECTIONS:
        sent = corrections.apply(sent)
    event = _canonicalise(sent, idempotency_key)
    sanitizer = Sanitizer()
    plain = body.plain and idempotency_key is None
    canonical = clean(event, sanitizer, corrections, plain=plain)
    result = validate(canonical, policy.catalog, sent=sent)
    parsed, timestamp_issues = _read_timestamp(canonical, sent, request_context, policy)
    warnings = result.warnings
    if sanitizer.warnings:
        # A group id in the context is cleaned twice: as an id and in its place.
        warnings = [*dict.fromkeys(sanitizer.warnings), *warnings]
    if event.extra:
        warnings += warn_of_unknown(event)
    errors = event.errors + sanitizer.errors + result.errors + timestamp_issues
    if parsed is None or errors:
        return reject(
            sent,
            request_context=request_context,
            errors=_first_of_each_path(errors),
            warnings=warnings,
            message_id=idempotency_key,
        )
    for code, message in parsed.warnings:
        path = canonical.names.get("timestamp", "timestamp")
        warnings.append(Issue(code, path, message))
    warnings += corrections.warnings()
    fields = canonical.fields
    needs_exact = sanitizer.needs_exact_encoding
    content = content_of(event, timestamp_raw=parsed.raw, odd=needs_exact)
    encode = encode_exactly if needs_exact else _encode_plainly
    return Record(
        id=identify(
            request_context.source,
            event=result.name,
            user_id=fields["user_id"],
            group_id=fields.get("group_id"),
            message_id=fields.get("message_id"),
            content=content,
            origin=canonical.extra["source"] if event.is_cloudevent else None,
        ),
        source=request_context.source,
        event=result.name,
        user_id=fields["user_id"],
        group_id=fields.get("group_id"),
        timestamp=parsed.instant,
        timestamp_raw=parsed.raw,
        received_at=request_context.received_at,
        message_id=fields.get("message_id"),
        properties=encode(fields["properties"]),
        context=encode(fields.get("context") or {}),
        warnings=tuple(warnings),
        content_hash=hash_content(content),
        sent=sent,
        request_id=request_context.request_id,
        extra=encode(canonical.extra) if canonical.extra else "{}",
    )


def _canonicalise(sent: dict[str, Any], idempotency_key: str | None) -> CanonicalEvent:
    if is_cloudevent(sent):
        return canonicalise_cloudevent(sent)
    return canonicalise(sent, idempotency_key=idempotency_key)


def _no_object(sent: Any) -> Issue:
    message = "An event must be a JSON object."
    if isinstance(sent, str):
        message = explain_text(sent) or message
    return Issue(ErrorCode.INVALID_TYPE, "", message)


def _check_size(sent: dict[str, Any], *, policy: Policy, body: Body) -> Issue | None:
    if body.deep and depth_of(sent) > policy.max_depth:
        message = f"An event is at most {policy.max_depth} levels deep."
        return Issue(ErrorCode.TOO_DEEP, "", message)
    if body.large and _size(sent) > policy.max_event_bytes:
        return Issue(
            ErrorCode.EVENT_TOO_LARGE,
            "",
            f"An event is at most {policy.max_event_bytes} bytes of compact JSON.",
        )
    return None


def _size(sent: dict[str, Any]) -> int:
    """Bytes of the event as compact JSON, without the rest of the body."""
    try:
        return len(encode_plain(sent))
    except TypeError:
        text = json.dumps(sent, ensure_ascii=False, separators=(",", ":"), default=str)
        return len(text.encode(errors="surrogatepass"))


def _read_timestamp(
    event: CanonicalEvent,
    sent: dict[str, Any],
    request_context: RequestContext,
    policy: Policy,
) -> tuple[ParsedTimestamp | None, list[Issue]]:
    value = event.fields.get("timestamp")
    if value is None:
        may_assume = request_context.assumes_receipt or event.is_cloudevent
        if may_assume and "message_id" in event.fields:
            return assume_received(request_context.received_at), []
        path = event.names.get("timestamp", "timestamp")
        return None, [missing_field(sent, "timestamp", path)]
    try:
        parsed = parse_timestamp(
            value, received_at=request_context.received_at, policy=policy.timestamps
        )
    except TimestampError as error:
        return None, [Issue(error.code, event.names["timestamp"], error.message)]
    return parsed, []


def _first_of_each_path(issues: list[Issue]) -> list[Issue]:
    paths: dict[str, Issue] = {}
    for issue in issues:
        paths.setdefault(issue.path, issue)
    return list(paths.values())


def _encode_plainly(value: Any) -> str:
    return encode_plain(value).decode()

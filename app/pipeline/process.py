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
from app.pipeline.identity import content_of, hash_content, identify
from app.pipeline.issues import ErrorCode, Issue
from app.pipeline.json_decode import depth_of
from app.pipeline.json_encode import encode_exactly, encode_plain
from app.pipeline.plain import record_of_plain
from app.pipeline.record import BodyTraits, Policy, Record, RequestContext
from app.pipeline.rejection import Rejection, reject
from app.pipeline.timestamp import (
    ParsedTimestamp,
    TimestampError,
    assume_received,
    parse_timestamp,
)
from app.pipeline.validation import missing_field, validate


def process_event(
    sent: Any,
    *,
    request_context: RequestContext,
    policy: Policy,
    body: BodyTraits,
    corrections: Corrections = NO_CORRECTIONS,
) -> Record | Rejection:
    """Validate and normalise one event.

    Args:
        sent: one decoded JSON value; not modified.
        request_context: the source and the time of receipt.
        policy: the limits of an event, from the settings.
        body: traits that all events of the body share.
        corrections: changes by an operator who replays the event.
    """
    idempotency_key = request_context.idempotency_key
    plain = body.plain and idempotency_key is None
    if plain and corrections is NO_CORRECTIONS:
        record = record_of_plain(sent, request_context, policy, body)
        if record is not None:
            return record
    issue = _check_shape(sent, policy=policy, body=body)
    if issue is not None:
        return reject(
            sent,
            request_context=request_context,
            errors=[issue],
            message_id=idempotency_key,
        )
    if corrections is not NO_CORRECTIONS:
        sent = corrections.apply(sent)
    event = _canonicalise(sent, idempotency_key)
    canonical, sanitizer = clean(event, corrections, plain=plain)
    name, errors, warnings = validate(canonical, policy.catalog, sent=sent)
    parsed, timestamp_issues = _read_timestamp(canonical, sent, request_context, policy)
    if sanitizer.warnings:
        # A group id in the context is cleaned twice: as an id and in its place.
        warnings = [*dict.fromkeys(sanitizer.warnings), *warnings]
    warnings += warn_of_unknown(event)
    errors = [*event.errors, *sanitizer.errors, *errors, *timestamp_issues]
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
    return _record(
        event,
        canonical,
        name=name,
        parsed=parsed,
        warnings=tuple(warnings),
        needs_exact_encoding=sanitizer.needs_exact_encoding,
        sent=sent,
        request_context=request_context,
    )


def _record(  # noqa: PLR0913 - an object of them would be one more for each event
    event: CanonicalEvent,
    canonical: CanonicalEvent,
    *,
    name: str,
    parsed: ParsedTimestamp,
    warnings: tuple[Issue, ...],
    needs_exact_encoding: bool,
    sent: dict[str, Any],
    request_context: RequestContext,
) -> Record:
    """The row of an event that passed.

    `event` has the values as sent, and `canonical` those that are stored.
    `needs_exact_encoding` says whether the fast encoder cannot write them.
    """
    encode = encode_exactly if needs_exact_encoding else _encode_plainly
    fields = canonical.fields
    user_id, group_id = fields["user_id"], fields.get("group_id")
    content = content_of(
        event.fields, parsed.raw, event.extra, needs_exact_encoding=needs_exact_encoding
    )
    return Record(
        id=identify(
            request_context.source,
            event=name,
            user_id=user_id,
            group_id=group_id,
            message_id=fields.get("message_id"),
            content=content,
            origin=canonical.extra["source"] if event.is_cloudevent else None,
        ),
        source=request_context.source,
        event=name,
        user_id=user_id,
        group_id=group_id,
        timestamp=parsed.instant,
        timestamp_raw=parsed.raw,
        received_at=request_context.received_at,
        message_id=fields.get("message_id"),
        properties=encode(fields["properties"]),
        context=encode(fields.get("context") or {}),
        warnings=warnings,
        content_hash=hash_content(content),
        sent=sent,
        request_id=request_context.request_id,
        extra=encode(canonical.extra),
    )


def _canonicalise(sent: dict[str, Any], idempotency_key: str | None) -> CanonicalEvent:
    if is_cloudevent(sent):
        return canonicalise_cloudevent(sent)
    return canonicalise(sent, idempotency_key=idempotency_key)


def _check_shape(sent: Any, *, policy: Policy, body: BodyTraits) -> Issue | None:
    if type(sent) is not dict:
        explanation = explain_text(sent) if isinstance(sent, str) else None
        message = explanation or "An event must be a JSON object."
        return Issue(ErrorCode.INVALID_TYPE, "", message)
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

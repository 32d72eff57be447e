"""The pipeline of one event: from decoded JSON to a record or a rejection.

canonical names -> sanitize -> ids -> validate -> timestamp -> identity -> Record, or a
Rejection that says why not. Pure: request context and policy are arguments.
"""

import json
from typing import Any

from app.pipeline.fields.canonical import CanonicalEvent, canonicalise
from app.pipeline.fields.corrections import NO_CORRECTIONS, Corrections
from app.pipeline.fields.near_miss import meant_by
from app.pipeline.fields.placeholders import is_placeholder
from app.pipeline.fields.sanitize import (
    MAX_WARNINGS,
    Sanitizer,
    is_storable,
    replace_unstorable,
    shown_key,
)
from app.pipeline.identity import content_of, hash_content, identify
from app.pipeline.issues import ErrorCode, Issue, WarningCode
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

_IDS = ("user_id", "group_id", "message_id")
_OBJECTS = ("properties", "context")


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
        error = Issue(ErrorCode.INVALID_TYPE, "", "An event must be a JSON object.")
        return reject(sent, request_context=request_context, errors=[error])
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
    event = canonicalise(sent, idempotency_key=idempotency_key)
    sanitizer = Sanitizer()
    plain = body.plain and idempotency_key is None
    canonical = _clean(event, sanitizer, corrections, plain=plain)
    result = validate(canonical, policy.catalog, sent=sent)
    parsed, timestamp_issues = _read_timestamp(canonical, sent, request_context, policy)
    warnings = result.warnings
    if sanitizer.warnings:
        # A group id in the context is cleaned twice: as an id and in its place.
        warnings = [*dict.fromkeys(sanitizer.warnings), *warnings]
    if event.extra:
        warnings += _warn_of_unknown(event.extra)
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


def _clean(
    event: CanonicalEvent,
    sanitizer: Sanitizer,
    corrections: Corrections,
    *,
    plain: bool,
) -> CanonicalEvent:
    """The event with values that can be validated and stored, as a new object."""
    fields, extra = dict(event.fields), event.extra
    if not plain:
        for name, value in event.fields.items():
            cleaned = _clean_field(name, value, event.names[name], sanitizer)
            fields[name] = cleaned
            if cleaned is None:
                del fields[name]
        extra = sanitizer.clean(extra, "")
    for name in _IDS:
        if name in fields:
            _read_id(name, fields, event.names[name], sanitizer, corrections)
    for name in _OBJECTS:
        if fields.get(name) == []:
            fields[name] = {}
            sanitizer.warn(
                WarningCode.EMPTY_ARRAY_AS_OBJECT,
                event.names[name],
                "The empty array was read as an empty object.",
            )
    return CanonicalEvent(fields, event.names, extra)


def _clean_field(name: str, value: Any, path: str, sanitizer: Sanitizer) -> Any:
    """The value as it can be stored. Ids are not repaired: two could become one."""
    if name not in _IDS or not isinstance(value, str) or is_storable(value):
        return sanitizer.clean(value, path)
    sanitizer.errors.append(
        Issue(
            ErrorCode.INVALID_CHARACTER,
            path,
            "An id must contain neither NUL nor a lone surrogate.",
        )
    )
    return replace_unstorable(value)


def _read_id(
    name: str,
    fields: dict[str, Any],
    path: str,
    sanitizer: Sanitizer,
    corrections: Corrections,
) -> None:
    """Make an integer text, and refuse a placeholder."""
    value = fields[name]
    if type(value) is int:
        fields[name] = str(value)
        sanitizer.warn(
            WarningCode.COERCED_TO_TEXT,
            path,
            "An id is text: the integer was read as its decimal text.",
        )
    elif not isinstance(value, str) or not is_placeholder(value):
        return
    elif name == "message_id":
        del fields[name]
        sanitizer.warn(
            WarningCode.PLACEHOLDER_IGNORED,
            path,
            "This is a placeholder: the event was read without a message id.",
        )
    elif corrections.accepts_placeholders:
        sanitizer.warn(
            WarningCode.CORRECTED_BY_OPERATOR,
            path,
            "An operator accepted this placeholder when replaying the event.",
        )
    else:
        sanitizer.errors.append(
            Issue(
                ErrorCode.PLACEHOLDER_ID,
                path,
                "This is a placeholder that programs write where there is no value. "
                "Send the real id.",
            )
        )


def _read_timestamp(
    event: CanonicalEvent,
    sent: dict[str, Any],
    request_context: RequestContext,
    policy: Policy,
) -> tuple[ParsedTimestamp | None, list[Issue]]:
    value = event.fields.get("timestamp")
    if value is None:
        if request_context.assumes_receipt and "message_id" in event.fields:
            return assume_received(request_context.received_at), []
        return None, [missing_field(sent, "timestamp", "timestamp")]
    try:
        parsed = parse_timestamp(
            value, received_at=request_context.received_at, policy=policy.timestamps
        )
    except TimestampError as error:
        return None, [Issue(error.code, event.names["timestamp"], error.message)]
    return parsed, []


def _warn_of_unknown(extra: dict[str, Any]) -> list[Issue]:
    """A warning for each unknown field, up to a limit."""
    warnings = []
    for number, key in enumerate(extra, 1):
        message = "No field of an event has this name; it is kept in `extra`."
        meant = meant_by(key)
        if meant is not None:
            message += f" Send it as `{meant}` if that is meant."
        if number == MAX_WARNINGS < len(extra):
            message += " No further field is listed."
        warnings.append(Issue(WarningCode.UNKNOWN_FIELD, shown_key(key), message))
        if number == MAX_WARNINGS:
            break
    return warnings


def _first_of_each_path(issues: list[Issue]) -> list[Issue]:
    paths: dict[str, Issue] = {}
    for issue in issues:
        paths.setdefault(issue.path, issue)
    return list(paths.values())


def _encode_plainly(value: Any) -> str:
    return encode_plain(value).decode()

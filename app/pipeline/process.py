"""The pipeline of one event: from what was sent to what is stored.

fold names -> mend -> validate -> read the timestamp -> identify -> Record, or a
Rejection that says why not. Pure: receipt and policy are arguments.
"""

import json
from typing import Any

from app.events.envelope import CanonicalEvent, fold
from app.pipeline.identity import content_of, hash_content, identify
from app.pipeline.issues import Issue
from app.pipeline.json_decode import depth_of
from app.pipeline.json_encode import encode_exactly, encode_plain
from app.pipeline.record import Body, Policy, Record, RequestContext
from app.pipeline.rejection import Rejection, reject
from app.pipeline.sanitize import Repair, is_storable, replace_unstorable
from app.pipeline.timestamp import ParsedTimestamp, TimestampError, parse_timestamp
from app.pipeline.validation import validate

_IDS = frozenset({"user_id", "group_id", "message_id"})
# Those of them that may be sent as a number.
_NUMBERED = ("user_id", "group_id")


def process_event(
    sent: Any,
    *,
    request_context: RequestContext,
    policy: Policy,
    body: Body,
    idempotency_key: str | None = None,
) -> Record | Rejection:
    """Validate and normalise one event.

    Args:
        sent: one decoded JSON value; stays untouched.
        request_context: who sent it, and when.
        policy: what an event may be.
        body: what holds for all events of the body.
        idempotency_key: the header, where the body is this one object.
    """
    if not isinstance(sent, dict):
        error = Issue("invalid_type", "", "An event must be a JSON object.")
        return reject(sent, request_context=request_context, errors=[error])
    misfit = _measure(sent, policy=policy, body=body)
    if misfit is not None:
        return reject(
            sent,
            request_context=request_context,
            errors=[misfit],
            message_id=idempotency_key,
        )
    folded = fold(sent, idempotency_key=idempotency_key)
    repair = Repair()
    usable = _prepare(folded, repair, plain=body.plain and idempotency_key is None)
    checked = validate(usable, policy.catalog)
    parsed, unread = _read_timestamp(usable, request_context, policy)
    warnings = checked.warnings
    if repair.warnings:
        # A group id in the context is mended twice: as an id and where it stands.
        warnings = [*dict.fromkeys(repair.warnings), *warnings]
    errors = folded.errors + repair.errors + checked.errors + unread
    if parsed is None or errors:
        return reject(
            sent,
            request_context=request_context,
            errors=_first_of_each_place(errors),
            warnings=warnings,
            message_id=idempotency_key,
        )
    for code, message in parsed.warnings:
        warnings.append(Issue(code, usable.names["timestamp"], message))
    fields = usable.fields
    content = content_of(folded.fields, odd=repair.odd)
    encode = encode_exactly if repair.odd else _encode_plainly
    return Record(
        id=identify(
            request_context.source,
            user_id=fields["user_id"],
            message_id=fields.get("message_id"),
            content=content,
        ),
        source=request_context.source,
        event=checked.name,
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
    )


def _measure(sent: dict[str, Any], *, policy: Policy, body: Body) -> Issue | None:
    if body.deep and depth_of(sent) > policy.max_depth:
        return Issue(
            "too_deep", "", f"An event is at most {policy.max_depth} levels deep."
        )
    if body.large and _size(sent) > policy.max_event_bytes:
        return Issue(
            "event_too_large",
            "",
            f"An event is at most {policy.max_event_bytes} bytes of compact JSON.",
        )
    return None


def _size(sent: dict[str, Any]) -> int:
    """Bytes of compact JSON; what else is in the body has no part in it."""
    try:
        return len(encode_plain(sent))
    except TypeError:
        text = json.dumps(sent, ensure_ascii=False, separators=(",", ":"), default=str)
        return len(text.encode(errors="surrogatepass"))


def _prepare(folded: CanonicalEvent, repair: Repair, *, plain: bool) -> CanonicalEvent:
    """The fields as they can be validated; those of `folded` stay as sent."""
    sent = folded.fields
    ids_are_text = type(sent.get("user_id")) is type(sent.get("group_id", "")) is str
    if plain and ids_are_text:
        return folded
    fields = dict(sent)
    if not plain:
        for name, value in folded.fields.items():
            mended = _mend_field(name, value, folded.names[name], repair)
            fields[name] = mended
            if mended is None:
                del fields[name]
    for name in _NUMBERED:
        if type(fields.get(name)) is int:
            fields[name] = str(fields[name])
            repair.warnings.append(
                Issue(
                    "coerced_to_text",
                    folded.names[name],
                    "An id is text: the integer was taken as its decimal text.",
                )
            )
    return CanonicalEvent(fields, folded.names)


def _mend_field(name: str, value: Any, path: str, repair: Repair) -> Any:
    """The field as it can be stored. A text id is refused: two could become one."""
    if name not in _IDS or not isinstance(value, str) or is_storable(value):
        return repair.mend(value, path)
    repair.errors.append(
        Issue(
            "invalid_character",
            path,
            "An id must hold neither NUL nor a lone surrogate.",
        )
    )
    return replace_unstorable(value)


def _read_timestamp(
    usable: CanonicalEvent, request_context: RequestContext, policy: Policy
) -> tuple[ParsedTimestamp | None, list[Issue]]:
    sent = usable.fields.get("timestamp")
    if sent is None:
        return None, []
    try:
        parsed = parse_timestamp(
            sent, received_at=request_context.received_at, policy=policy.timestamps
        )
    except TimestampError as error:
        return None, [Issue(error.code, usable.names["timestamp"], error.message)]
    return parsed, []


def _first_of_each_place(issues: list[Issue]) -> list[Issue]:
    places: dict[str, Issue] = {}
    for issue in issues:
        places.setdefault(issue.path, issue)
    return list(places.values())


def _encode_plainly(value: Any) -> str:
    return encode_plain(value).decode()

"""The answer to a body: a result for each event, in the order sent."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from app.ingest.request import DEFAULT_OPTIONS, QueryOptions
from app.ingest.routes import TrackRoute
from app.pipeline.outcome import Entry, EventStatus, Outcome
from app.pipeline.record import Record
from app.pipeline.rejection import Rejection
from app.pipeline.timestamp import format_timestamps
from app.pipeline.unpack import Ignored
from app.store.write.insert import CONTENT_DIFFERS, CONTENT_DROPPED, STORED

JSON = b"application/json"
PROBLEM_JSON = b"application/problem+json"
_OK = 200
_UNPROCESSABLE = 422


class TrackResponse(NamedTuple):
    """The response to a request.

    Attributes:
        status: the HTTP status.
        body: JSON.
        media_type: of the body.
        headers: in addition to type, length and request id.
        counts: events by result, for the log.
    """

    status: int
    body: bytes
    media_type: bytes = JSON
    headers: Sequence[tuple[bytes, bytes]] = ()
    counts: Mapping[str, int] = MappingProxyType({})


def dry_run_outcomes(events: Sequence[Entry]) -> list[Outcome]:
    """The outcome of each event if nothing is stored."""
    return [
        Outcome(EventStatus.REJECTED, errors=entry.errors)
        if isinstance(entry, Rejection)
        else Outcome(EventStatus.VALID)
        for entry in events
    ]


def with_ignored(
    entries: Sequence[Entry | Ignored], outcomes: list[Outcome]
) -> list[Outcome]:
    """An outcome for each entry, from those of the events among them."""
    if len(outcomes) == len(entries):
        return outcomes
    remaining = iter(outcomes)
    return [
        Outcome(EventStatus.IGNORED) if isinstance(entry, Ignored) else next(remaining)
        for entry in entries
    ]


def build_response(
    entries: list[Entry | Ignored],
    outcomes: list[Outcome],
    *,
    route: TrackRoute,
    request_id: str,
    options: QueryOptions = DEFAULT_OPTIONS,
) -> TrackResponse:
    """Build the response from the outcome of each event.

    Args:
        entries: in the order sent.
        outcomes: one for each entry.
        route: where they came in.
        request_id: ours.
        options: from its query, with the warnings about it.
    """
    counts = _count(outcomes)
    rejected = counts.get("rejected", 0)
    message = _summary(tuple(counts.items()))
    if rejected:
        message += _first_error(outcomes)
    results = _results(entries, outcomes)
    content: dict[str, Any] = {
        "success": not rejected,
        "message": message,
        "response_id": request_id,
        "stored": counts.get("stored", 0),
        "duplicates": counts.get("duplicate", 0),
        "rejected": rejected,
        "results": results,
    }
    if "buffered" in counts:
        content["buffered"] = counts["buffered"]
    if route.calls != "track":
        content["ignored"] = counts.get("ignored", 0)
    if route.lists_warnings or options.warnings:
        content["warnings"] = [
            *(issue.as_json() for issue in options.warnings),
            *_gather(results, "warnings"),
        ]
    if options.dry_run:
        content["dry_run"] = True
    if rejected < len(outcomes) or route.lenient:
        return TrackResponse(_OK, orjson.dumps(content), counts=counts)
    problem = {
        "type": "about:blank",
        "title": "Every event was rejected",
        "status": _UNPROCESSABLE,
        "detail": message,
        "code": "all_rejected",
        "errors": _gather(results, "errors"),
    }
    return TrackResponse(
        _UNPROCESSABLE,
        orjson.dumps(problem | content),
        media_type=PROBLEM_JSON,
        counts=counts,
    )


def _count(outcomes: list[Outcome]) -> dict[str, int]:
    """Number of events by result."""
    stored = outcomes.count(STORED)
    if stored and stored == len(outcomes):
        return {"stored": stored}
    counts: dict[str, int] = {}
    for outcome in outcomes:
        status = outcome.status.value
        counts[status] = counts.get(status, 0) + 1
    return counts


def _first_error(outcomes: list[Outcome]) -> str:
    """The first error of the body, so that it is seen where only a message is shown."""
    for index, outcome in enumerate(outcomes):
        if outcome.errors:
            error = outcome.errors[0]
            place = f" at `{error.path}`" if error.path else ""
            of_event = f" of event {index}" if len(outcomes) > 1 else ""
            return f". First error{of_event}{place}: {error.message}"
    return ""


def _gather(results: Sequence[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [
        {"index": result["index"], **issue}
        for result in results
        for issue in result[kind]
    ]


def _results(
    entries: list[Entry | Ignored], outcomes: list[Outcome]
) -> list[dict[str, Any]]:
    """The results of all events, in the order sent."""
    times = [entry.timestamp for entry in entries if isinstance(entry, Record)]
    instants = iter(format_timestamps(times) if times else ())
    results: list[dict[str, Any]] = []
    for index, (entry, outcome) in enumerate(zip(entries, outcomes, strict=True)):
        instant = next(instants) if isinstance(entry, Record) else ""
        if outcome is STORED and isinstance(entry, Record) and not entry.warnings:
            result = {  # nearly all, in half the time
                "index": index,
                "status": "stored",
                "id": entry.id,
                "event": entry.event,
                "timestamp": instant,
                "warnings": (),  # no list, which the garbage collector would look at
            }
        else:
            result = _result(index, entry, outcome, instant)
        results.append(result)
    return results


def _result(
    index: int, entry: Entry | Ignored, outcome: Outcome, instant: str
) -> dict[str, Any]:
    """The result of one event, with the instant of a record."""
    if isinstance(entry, Ignored):
        return {"index": index, "status": "ignored", "warnings": []}
    status = outcome.status.value
    id_ = outcome.rejection_id or entry.id
    result: dict[str, Any] = {"index": index, "status": status, "id": id_}
    if isinstance(entry, Record) and status != "rejected":
        result["event"] = entry.event
        result["timestamp"] = instant
    warnings = entry.warnings
    if outcome.differs:
        differs = CONTENT_DIFFERS if outcome.kept else CONTENT_DROPPED
        warnings = (*warnings, differs)
    result["warnings"] = [issue.as_json() for issue in warnings]
    if status == "rejected":
        result |= _rejected(entry, outcome)
    if not outcome.kept:
        result["kept"] = False
    if outcome.buffered:
        result["buffered"] = True
    return result


def _rejected(entry: Entry, outcome: Outcome) -> dict[str, Any]:
    result: dict[str, Any] = {"errors": [issue.as_json() for issue in outcome.errors]}
    if isinstance(entry, Rejection) and entry.truncated:
        result["truncated"] = True
    return result


@lru_cache(maxsize=1_000)
def _summary(results: tuple[tuple[str, int], ...]) -> str:
    counts = dict(results)
    said = [
        f"{counts[status]} {_plural(noun, counts[status])}"
        for status, noun in (
            ("stored", "event stored"),
            ("buffered", "event buffered"),
            ("valid", "event valid"),
            ("duplicate", "duplicate"),
            ("rejected", "event rejected"),
            ("ignored", "call ignored"),
        )
        if status in counts
    ]
    return ", ".join(said) or "0 events stored"


def _plural(noun: str, count: int) -> str:
    first, _, rest = noun.partition(" ")
    return f"{first}{'' if count == 1 else 's'} {rest}".rstrip()

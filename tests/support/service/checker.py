"""Compare responses of the service with its tables."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from tests.support.service.tenant import Tenant

_SUCCESS = 200
_ALL_REJECTED = 422


def disagreements(
    tenant: Tenant, responses: Iterable[tuple[int, str | bytes]]
) -> list[str]:
    """Every statement of a response that the tables do not confirm.

    Args:
        tenant: the only sender of the events.
        responses: status and body of each.
    """
    events = {
        str(row[0])
        for row in tenant.rows("SELECT id FROM events WHERE source = :source")
    }
    rejected = {
        str(row[0])
        for row in tenant.rows("SELECT id FROM rejected_events WHERE source = :source")
    }
    named: set[str] = set()
    found: list[str] = []
    for status, body in responses:
        if status not in {_SUCCESS, _ALL_REJECTED}:
            if status >= 500:
                found.append(f"{status}: {body!r}")
            continue
        content = json.loads(body)
        found += _contradictions(status, content)
        for result in content["results"]:
            named.add(result.get("id", ""))
            found += _unconfirmed(result, events, rejected)
    found += [f"stored, and in no response: {id_}" for id_ in events - named]
    return found


def _contradictions(status: int, content: dict[str, Any]) -> Iterator[str]:
    statuses = [result["status"] for result in content["results"]]
    counts = {
        "stored": statuses.count("stored"),
        "duplicates": statuses.count("duplicate"),
        "rejected": statuses.count("rejected"),
    }
    if {name: content[name] for name in counts} != counts:
        yield f"counts are not those of the results: {content}"
    if content["success"] != (status == _SUCCESS and not counts["rejected"]):
        yield f"success is not true of every event: {content}"


def _unconfirmed(
    result: dict[str, Any], events: set[str], rejected: set[str]
) -> Iterator[str]:
    match result["status"]:
        case "stored" | "duplicate":
            if result["id"] not in events:
                yield f"not in events: {result}"
        case "rejected":
            if result.get("kept", True) and result["id"] not in rejected:
                yield f"not in rejected_events: {result}"
        case "ignored":
            pass
        case other:
            yield f"a status that nobody asked for: {other}"

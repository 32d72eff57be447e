"""What every Python sender sends: the same as plan.mjs.

argv: base URL, write key, N, and how many of them a second; without that, at once.
Prints, as JSON, the user ids that it believes delivered.
"""

import json
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

BASE, KEY, COUNT = sys.argv[1], sys.argv[2], int(sys.argv[3])
RATE = float(sys.argv[4]) if len(sys.argv) > 4 else float("inf")
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def calls() -> Iterator[tuple[str, dict[str, Any]]]:
    for i in range(COUNT):
        user = f"user-{i}"
        if i % 5 == 0:
            yield "identify", {"user_id": user, "traits": {"plan": "pro"}}
        if i % 7 == 0:
            yield "group", {"user_id": user, "group_id": f"account-{i}"}
        yield "track", {"user_id": user, **_event(i, user)}


def _event(i: int, user: str) -> dict[str, Any]:
    timestamp = _BEGIN + timedelta(milliseconds=i)
    email = f"{user}@example.com"
    if i % 2 == 0:
        return {
            "event": "signed_up",
            "properties": {"email": email, "name": f"User {i}"},
            "timestamp": timestamp,
        }
    return {
        "event": "account_added_user",
        "properties": {
            "user_role": "Viewer",
            "user_name": f"User {i}",
            "user_email": email,
        },
        "context": {"groupId": f"account-{i}"},
        "timestamp": timestamp,
    }


def send(client: Any, failed: list[dict[str, Any]]) -> None:
    """Send with a client whose on_error adds to `failed` what it gave up on."""
    began = time.monotonic()
    for call, arguments in calls():
        if call == "track":
            due = began + int(arguments["user_id"].removeprefix("user-")) / RATE
            time.sleep(max(0, due - time.monotonic()))
        getattr(client, call)(**arguments)
    client.shutdown()
    report(
        {arguments["user_id"] for call, arguments in calls() if call == "track"}
        - {message["userId"] for message in failed}
    )


def report(delivered: Iterable[str]) -> None:
    json.dump({"delivered": sorted(delivered)}, sys.stdout)

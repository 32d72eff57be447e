"""Requests and responses of a run, and their comparison with SQL.

Every event has a number. An attempt is written down before it is sent, and its
answer after; a body without a clear answer is sent again where the body's number is
even, and never where it is odd.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

import asyncpg

from app.store.dsn import dsn_of

_MAX_ATTEMPTS = 100  # so that a run ends though nobody answers any more
# The source of other senders, whose events are not in the ledger.
BYSTANDER = "bystander"
CONFIRMED = frozenset({"stored", "duplicate", "buffered"})
_ROWS = """
SELECT id::text, event, user_id, group_id, timestamp_raw, message_id,
    properties::text, context::text
FROM events WHERE source <> $1
"""
# A row whose id is not claimed can be doubled; a claim without its row is a loss.
_UNMATCHED = """
SELECT count(*) FROM events FULL JOIN event_ids USING (bucket, id, stored_at)
WHERE events.user_id IS NULL OR event_ids.content_hash IS NULL
"""
_REJECTED = "SELECT id::text FROM rejected_events"


class Fate(Enum):
    """What one attempt came to."""

    OK = "ok"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Verdict(NamedTuple):
    """The set check; every number is to be 0.

    Attributes:
        lost: answered as taken in, and absent.
        dup: in more than one row.
        torn: with other content than the payload, or with half of it.
        phantom: never sent.
    """

    lost: int
    dup: int
    torn: int
    phantom: int


@dataclass(slots=True)
class Body:
    """A body of events, and all that became of it.

    Attributes:
        number: from 0; even ones are sent again.
        numbers: of its events.
        fates: one for each attempt that has ended.
        attempts: that were begun.
    """

    number: int
    numbers: Sequence[int]
    content: bytes
    attempts: int = 0
    fates: list[Fate] = field(default_factory=list)

    @property
    def is_to_be_sent_again(self) -> bool:
        """Whether the last answer leaves open what became of it, and it is even."""
        return (
            self.number % 2 == 0
            and self.fates[-1] is Fate.UNKNOWN
            and self.attempts < _MAX_ATTEMPTS
        )


def make_event(number: int) -> dict[str, Any]:
    """The event of a number: the same each time, and of no other number.

    A third of them have no message id, and are known by their content.
    """
    user = f"user-{number}"
    event: dict[str, Any] = {
        "user_id": user,
        "timestamp": f"2026-01-{1 + number % 28:02}T00:30:{number % 60:02}.276Z",
        "properties": {
            "email": f"{user}@example.com",
            "number": number,
            "share": number / 7,
            "text": "é\U0001f600" + "x" * (number * 37 % 400),
        },
        "context": {"ip": "192.0.2.1", "tags": [number, None, True]},
    }
    if number % 2:
        event["event"] = "account_added_user"
        event["properties"]["user_role"] = "Viewer"
        event["context"]["group_id"] = f"account-{number}"
    else:
        event["event"] = "signed_up"
        event["properties"]["name"] = "A"
    if number % 3:
        event["message_id"] = f"message-{number}"
    return event


def _digest(*content: Any) -> bytes:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()


def digest_of(event: dict[str, Any]) -> bytes:
    """The hash of the columns to be stored of an event."""
    return _digest(
        event["event"],
        event["user_id"],
        event["context"].get("group_id"),
        event["timestamp"],
        event.get("message_id"),
        event["properties"],
        event["context"],
    )


class Ledger:
    """All bodies of one run by their numbers, and the ids of their events."""

    def __init__(self) -> None:
        self.bodies: list[Body] = []
        self.events = 0
        self.confirmed: dict[str, str] = {}
        self.rejected: set[str] = set()
        self.statuses: Counter[str] = Counter()
        self.users: dict[str, dict[str, None]] = {"stored": {}, "buffered": {}}
        self.fates: Counter[Fate] = Counter()

    def new_body(self, size: int) -> Body:
        """The next events, as one object or, if they are several, an array."""
        return self.body_of(range(self.events, self.events + size))

    def body_of(self, numbers: Sequence[int]) -> Body:
        """These events, which may have been in other bodies, too."""
        self.events = max(self.events, *(number + 1 for number in numbers), 0)
        events = [make_event(number) for number in numbers]
        content = json.dumps(events if len(events) > 1 else events[0]).encode()
        body = Body(len(self.bodies), numbers, content)
        self.bodies.append(body)
        return body

    def begin(self, body: Body) -> None:
        """Write down that it is about to be sent."""
        body.attempts += 1

    def end(self, body: Body, status: int | None, answer: bytes) -> Fate:
        """Write down the response; a status of None is no response at all."""
        fate = self._read(body, status, answer)
        body.fates.append(fate)
        self.fates[fate] += 1
        return fate

    async def check(self, url: str) -> Verdict:
        """Compare with the rows in the database."""
        connection = await asyncpg.connect(dsn_of(url))
        try:
            rows = await connection.fetch(_ROWS, BYSTANDER)
            unmatched = await connection.fetchval(_UNMATCHED)
            kept = {row[0] for row in await connection.fetch(_REJECTED)}
        finally:
            await connection.close()
        return self.compare([tuple(row) for row in rows], kept, unmatched=unmatched)

    def compare(
        self, rows: list[tuple[Any, ...]], kept: set[str], *, unmatched: int = 0
    ) -> Verdict:
        """The set check.

        Args:
            rows: as `_ROWS` has them.
            kept: the ids of the rejected events.
            unmatched: rows of `events` and `event_ids` without the other.
        """
        users = Counter(row[2] for row in rows)
        ids = {row[0]: row[2] for row in rows}
        sent = {
            f"user-{number}": number
            for body in self.bodies
            if body.attempts
            for number in body.numbers
        }
        torn = sum(
            row[2] in sent
            and _digest_of_row(row) != digest_of(make_event(sent[row[2]]))
            for row in rows
        )
        return Verdict(
            lost=sum(ids.get(id_) != user for id_, user in self.confirmed.items())
            + len(self.rejected - kept),
            dup=sum(count - 1 for count in users.values()),
            torn=torn + unmatched,
            phantom=sum(user not in sent for user in users),
        )

    async def present(self, url: str) -> bool:
        """Whether all that was confirmed is there: buffered events come later."""
        connection = await asyncpg.connect(dsn_of(url))
        try:
            found = await connection.fetchval(
                "SELECT count(*) FROM event_ids WHERE id = ANY($1::uuid[])",
                list(self.confirmed),
            )
        finally:
            await connection.close()
        return bool(found == len(self.confirmed))

    def _read(self, body: Body, status: int | None, answer: bytes) -> Fate:
        if status is None or status >= 500 or status in {408, 429}:
            return Fate.UNKNOWN
        if status not in {200, 422}:
            return Fate.REFUSED
        try:
            results = json.loads(answer)["results"]
        except (ValueError, KeyError):
            return Fate.UNKNOWN
        for number, result in zip(body.numbers, results, strict=True):
            self.statuses[result["status"]] += 1
            self.users.get(result["status"], {})[f"user-{number}"] = None
            if result["status"] in CONFIRMED:
                self.confirmed[result["id"]] = f"user-{number}"
            elif result["status"] == "rejected":
                self.rejected.add(result["id"])
        return Fate.OK


def _digest_of_row(row: tuple[Any, ...]) -> bytes:
    _, event, user_id, group_id, timestamp, message_id, properties, context = row
    return _digest(
        event,
        user_id,
        group_id,
        timestamp,
        message_id,
        json.loads(properties),
        json.loads(context),
    )

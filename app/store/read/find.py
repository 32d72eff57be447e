"""Find what is stored about a person, an account or one event, by one search term.

Each query is shown on the page as it was executed, with the term as a literal.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.read.events import EventRow

_PARAMETER = re.compile(r":([a-z]+)")
# Entries that each query returns.
LIMIT = 100
_TIMELINE = """\
SELECT 'stored' AS kind, id, source, event, user_id, group_id, "timestamp" AS at
FROM events
WHERE {condition}
ORDER BY "timestamp" DESC
LIMIT 100;"""
_USER = _TIMELINE.format(condition="user_id = :term")
_ACCOUNT = _TIMELINE.format(condition="group_id = :term")
_MESSAGE = _TIMELINE.format(condition="user_id = :user AND message_id = :message")
_EVENT = """\
SELECT 'stored' AS kind, e.id, e.source, e.event, e.user_id, e.group_id,
    e."timestamp" AS at
FROM event_ids AS i
JOIN events AS e ON e.stored_at = i.stored_at AND e.id = i.id AND e.bucket = i.bucket
WHERE i.id = CAST(:term AS uuid);"""
# Closed weeks have an index on the email; the open week is read up to a limit. Other
# events than a sign-up name the email of somebody else, too.
_EMAIL = """\
SELECT CASE event WHEN 'signed_up' THEN 'stored' ELSE 'mentioned' END AS kind,
    id, source, event, user_id, group_id, "timestamp" AS at
FROM (
    SELECT * FROM events
    WHERE stored_at < date_trunc('week', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
        AND left(
            lower(coalesce(properties ->> 'email', properties ->> 'user_email')), 254
        ) = left(lower(:term), 254)
    UNION ALL
    SELECT * FROM (
        SELECT * FROM events
        WHERE stored_at
            >= date_trunc('week', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
        ORDER BY stored_at DESC
        LIMIT 200000
    ) AS open_week
    WHERE lower(coalesce(properties ->> 'email', properties ->> 'user_email'))
        = lower(:term)
) AS found
ORDER BY "timestamp" DESC
LIMIT 100;"""
_REJECTED = """\
SELECT 'rejected' AS kind, id, source, event, reason, received_at AS at,
    NULL AS group_id, CASE WHEN strpos(payload, '"user_id":' || :json) > 0
        OR strpos(payload, '"userId":' || :json) > 0 THEN :term END AS user_id
FROM (
    SELECT * FROM rejected_events ORDER BY received_at DESC LIMIT 20000
) AS latest
WHERE request_id = :term OR CAST(id AS text) = :term OR strpos(payload, :json) > 0
ORDER BY received_at DESC
LIMIT 100;"""


@dataclass(frozen=True, slots=True)
class Section:
    """Result of one query.

    Attributes:
        sql: the query that was executed.
        entries: rows of events, newest first. Their `kind` is `mentioned` for an event
            of another user, `at` the timestamp, or the receipt of a rejected event.
    """

    title: str
    sql: str
    entries: Sequence[EventRow]

    @property
    def is_full(self) -> bool:
        """Whether there may be more than the limit."""
        return len(self.entries) == LIMIT


async def find(connection: AsyncConnection, *, term: str) -> list[Section]:
    """Search for a term in all ways that it can be meant; empty results are left out.

    A term is a user, account, event or request id, an email address, or a user id, a
    space and a message id.
    """
    queries = [
        ("Events of this user", _USER, {"term": term}),
        ("Events of this account", _ACCOUNT, {"term": term}),
    ]
    if _is_uuid(term):
        queries.append(("Event with this id", _EVENT, {"term": term}))
    if "@" in term:
        queries.append(("Events with this email", _EMAIL, {"term": term}))
    user, _, message = term.rpartition(" ")
    if user and message:
        values = {"user": user, "message": message}
        queries.append(("Events with this user and message id", _MESSAGE, values))
    rejected = {"term": term, "json": json.dumps(term)}
    queries.append(("Rejected events with this text", _REJECTED, rejected))
    sections = []
    for title, sql, values in queries:
        if entries := (await connection.execute(text(sql), values)).all():
            sections.append(Section(title, _with_literals(sql, values), entries))
    return sections


def _is_uuid(term: str) -> bool:
    try:
        UUID(term)
    except ValueError:
        return False
    return True


def _with_literals(sql: str, values: dict[str, str]) -> str:
    """The query with its values as literals of SQL, to be run in psql."""
    literals = {name: value.replace("'", "''") for name, value in values.items()}
    return _PARAMETER.sub(lambda found: f"'{literals[found[1]]}'", sql)

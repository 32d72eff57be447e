"""docs/sql.md: each query runs as printed, on known data, and on a large table."""

import json
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.pipeline.outcome import Entry
from app.pipeline.process import process_event
from app.pipeline.record import BodyTraits, Policy, RequestContext
from app.pipeline.timestamp import TimestampPolicy
from app.store.engine import create_engine
from tests.support.store.entries import save

pytestmark = pytest.mark.on_citus

MANUAL = Path(__file__).parents[2] / "docs" / "sql.md"
QUERIES = dict(
    re.findall(
        r"^## (.+?)$.*?^```sql\n(.+?)^```$",
        MANUAL.read_text(),
        re.MULTILINE | re.DOTALL,
    )
)
NOW = datetime.now(UTC)
SOME_ID = "00000000-0000-8000-8000-000000000000"
POLICY = Policy(TimestampPolicy())
PLAIN = BodyTraits(plain=True, deep=False, large=False)


def ago(**span: float) -> str:
    return (NOW - timedelta(**span)).isoformat()


def signed_up(user: str, email: str, timestamp: str, **more: Any) -> dict[str, Any]:
    properties = {"email": email, "name": "N"}
    return {
        "event": "signed_up",
        "user_id": user,
        "timestamp": timestamp,
        "properties": properties,
        **more,
    }


def added(user: str, group: str, role: str, timestamp: str) -> dict[str, Any]:
    properties = {"user_role": role, "user_name": "N", "user_email": "n@example.com"}
    return {
        "event": "account_added_user",
        "user_id": user,
        "group_id": group,
        "timestamp": timestamp,
        "properties": properties,
    }


BILLING = [
    signed_up("user_1", "one@example.com", ago(days=20)),
    signed_up("user_1", "one@example.com", ago(days=19)),
    signed_up("user_2", "ONE@example.com", ago(days=10), message_id="m1"),
    signed_up("user_3", "three@example.com", ago(days=9)),
    signed_up("user_4", "four@example.com", ago(hours=1)),
    added("user_1", "account_1", "Viewer", ago(days=18)),
    added("user_1", "account_1", "Admin", ago(days=17)),
    added("user_2", "account_1", "Viewer", ago(days=1)),
    added("ghost", "account_2", "Owner", ago(days=2)),
]
WEB = [signed_up("user_5", "five@example.com", "2023-11-02T00:30:08")]
REJECTED = [
    {"event": "signed_up"},
    signed_up("user_2", "other@example.com", ago(days=10), message_id="m1"),
]


def judged(events: Sequence[Any], source: str) -> list[Entry]:
    request_context = RequestContext(source, NOW, "request")
    return [
        process_event(e, request_context=request_context, policy=POLICY, body=PLAIN)
        for e in events
    ]


@pytest.fixture
async def known(engine: AsyncEngine) -> AsyncEngine:
    async with engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO sources (name) VALUES ('billing'), ('web'), ('silent')")
        )
    for events, source in ([*BILLING, *REJECTED], "billing"), (WEB, "web"):
        await save(engine, *judged(events, source))
    return engine


async def answer(engine: AsyncEngine, title: str, **changes: str) -> list[Any]:
    query = QUERIES[title]
    for old, new in changes.items():
        query = query.replace(old, new)
    async with engine.connect() as connection:
        result = await connection.exec_driver_sql(query)
        return list(result.mappings())


def column(rows: list[Any], *names: str) -> list[Any]:
    found = [tuple(row[name] for name in names) for row in rows]
    return [row[0] for row in found] if len(names) == 1 else found


async def test_sign_ups_a_day(known: AsyncEngine) -> None:
    rows = await answer(known, "Sign-ups a day")
    days = [NOW - timedelta(days=days) for days in (20, 19, 10, 9)]
    assert column(rows, "day")[:4] == [day.date() for day in days]
    assert sum(column(rows, "sign_ups")) == 5


async def test_query_of_a_timeline(known: AsyncEngine) -> None:
    rows = await answer(known, "A user's timeline")
    assert column(rows, "event") == ["signed_up"] * 2 + ["account_added_user"] * 2


async def test_person_by_email(known: AsyncEngine) -> None:
    rows = await answer(known, "A person by email address")
    assert column(rows, "user_id", "event") == [("user_3", "signed_up")]


async def test_query_of_members(known: AsyncEngine) -> None:
    rows = await answer(known, "The members of an account, with their latest role")
    members = [("user_1", "Admin"), ("user_2", "Viewer")]
    assert column(rows, "user_id", "user_role") == members


async def test_added_without_sign_up(known: AsyncEngine) -> None:
    title = "Users who were added to an account and never signed up"
    assert column(await answer(known, title), "user_id", "accounts") == [("ghost", 1)]


async def test_query_of_users_who_were_never_added(known: AsyncEngine) -> None:
    title = "Sign-ups that were added to no account within 7 days"
    late_or_never = ["user_5", "user_2", "user_3"]
    assert column(await answer(known, title), "user_id") == late_or_never


async def test_query_of_the_time_to_the_first_account(known: AsyncEngine) -> None:
    rows = await answer(known, "From sign-up to the first account")
    took = [("user_1", timedelta(days=2)), ("user_2", timedelta(days=9))]
    assert column(rows, "user_id", "took") == took


async def test_query_of_the_largest_accounts(known: AsyncEngine) -> None:
    rows = await answer(known, "The largest accounts")
    accounts = [("account_1", 2), ("account_2", 1)]
    assert column(rows, "group_id", "members") == accounts


async def test_query_of_users_who_signed_up_twice(known: AsyncEngine) -> None:
    rows = await answer(known, "Users who signed up more than once")
    assert [dict(row) for row in rows] == [
        {"user_id": "user_1", "times": 2, "sources": ["billing"]}
    ]


async def test_query_of_shared_emails(known: AsyncEngine) -> None:
    rows = await answer(known, "One email, several users")
    assert [dict(row) for row in rows] == [
        {"email": "one@example.com", "users": ["user_1", "user_2"]}
    ]


async def test_query_by_id(known: AsyncEngine) -> None:
    [wanted] = judged(WEB, "web")
    rows = await answer(known, "An event by its id", **{SOME_ID: wanted.id})
    assert column(rows, "user_id") == ["user_5"]


async def test_query_of_recent_events(known: AsyncEngine) -> None:
    rows = await answer(known, "What came in during the last quarter of an hour")
    assert column(rows, "source", "event", "events") == [
        ("billing", "account_added_user", 4),
        ("billing", "signed_up", 5),
        ("web", "signed_up", 1),
    ]


async def test_query_of_the_last_events_of_sources(known: AsyncEngine) -> None:
    rows = await answer(known, "When each source was last heard of")
    assert column(rows, "source") == ["silent", "billing", "web"]
    assert rows[0]["last_event"] is None


async def test_query_by_warning(known: AsyncEngine) -> None:
    rows = await answer(known, "Events by warning")
    assert column(rows, "warning", "source", "events") == [
        ("offset_assumed_utc", "web", 1)
    ]


async def test_query_of_assumed_timestamps(known: AsyncEngine) -> None:
    rows = await answer(known, "Timestamps that were read with an assumption")
    assert column(rows, "timestamp_raw", "assumed") == [
        ("2023-11-02T00:30:08", "offset_assumed_utc")
    ]


async def test_query_of_latency(known: AsyncEngine) -> None:
    rows = await answer(known, "How long events take to arrive")
    assert column(rows, "source", "events") == [("billing", 9), ("web", 1)]
    assert rows[0]["p50"] == timedelta(days=10)


async def test_query_of_rejected_events(known: AsyncEngine) -> None:
    rows = await answer(known, "Rejected events by reason")
    assert column(rows, "source", "reason", "event", "events") == [
        ("billing", "id_conflict", "signed_up", 1),
        ("billing", "missing_field", "signed_up", 1),
    ]


async def test_query_of_rejected_payloads(known: AsyncEngine) -> None:
    title = "The latest rejected events of a source, with all errors"
    rows = await answer(known, title)
    assert {"user_id", "timestamp", "properties"} <= set(column(rows, "path"))
    assert {"event": "signed_up"} in [json.loads(row["payload"]) for row in rows]


async def test_query_of_conflicts(known: AsyncEngine) -> None:
    [row] = await answer(known, "One message id, two contents")
    sent = json.loads(row["payload"])
    assert (row["message_id"], sent) == ("m1", REJECTED[1])


async def test_query_of_weeks(known: AsyncEngine) -> None:
    rows = await answer(known, "The weeks, and their size")
    assert column(rows, "week") == sorted(column(rows, "week"))
    assert len(rows) == 5


def test_every_query_is_tested() -> None:
    source = Path(__file__).read_text()
    assert len(QUERIES) >= 12
    assert [title for title in QUERIES if f'"{title}"' not in source] == []


_FILL = text("""
INSERT INTO events (id, source, event, user_id, group_id, "timestamp",
    timestamp_raw, received_at, stored_at, properties, context)
SELECT gen_random_uuid(), 'billing',
    CASE n % 2 WHEN 0 THEN 'signed_up' ELSE 'account_added_user' END,
    'user_' || n / 4, 'account_' || n / 20, at - interval '1 minute', '',
    at, at, '{"email": "a@example.com", "user_role": "Viewer"}', '{}'
FROM generate_series(0, CAST(:events AS integer) - 1) AS n,
    LATERAL (SELECT now() + n * interval '28 days' / CAST(:events AS integer)) AS t (at)
""")


async def fill(engine: AsyncEngine, events: int) -> str:
    """Fill this week and the next four; return the id of one event."""
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        await connection.execute(_FILL, {"events": events})
        await connection.exec_driver_sql("""
            INSERT INTO event_ids SELECT id, stored_at, ''::bytea FROM events
        """)
        row = await connection.exec_driver_sql("""
            SELECT id FROM events ORDER BY stored_at DESC LIMIT 1
        """)
        found = str(row.scalar_one())
    async with engine.connect() as connection:
        autocommit = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await autocommit.exec_driver_sql("VACUUM ANALYZE events, event_ids")
    return found


async def plan(engine: AsyncEngine, title: str, **changes: str) -> str:
    query = QUERIES[title]
    for old, new in changes.items():
        query = query.replace(old, new)
    async with engine.connect() as connection:
        rows = await connection.exec_driver_sql(
            f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) {query}"
        )
        return "\n".join(rows.scalars())


@pytest.fixture
async def patient_engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine whose statements may take longer than a commit of the service."""
    engine = create_engine(database_url, command_timeout_s=60)
    yield engine
    await engine.dispose()


@pytest.mark.on_citus(wanted=False)
async def test_plans_on_a_large_table(patient_engine: AsyncEngine) -> None:
    engine = patient_engine
    wanted = await fill(engine, 60_000)
    for title in (
        "A user's timeline",
        "The members of an account, with their latest role",
        "An event by its id",
        "What came in during the last quarter of an hour",
    ):
        # The rows reach four weeks ahead: a quarter of an hour before their end.
        recent = {"now() - interval '15": "now() + interval '28 days' - interval '15"}
        found = await plan(engine, title, **{SOME_ID: wanted}, **recent)
        assert "Seq Scan" not in re.sub(r"Seq Scan.*never executed", "", found), found
    by_id = await plan(engine, "An event by its id", **{SOME_ID: wanted})
    assert by_id.count("never executed") >= 3, by_id

"""docs/rejected.md: each query and each command runs as printed, on known data."""

import re
import shlex
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.cli.quarantine.filters import read_since
from app.pipeline.issues import Issue
from app.pipeline.outcome import Entry
from app.store.quarantine.caps import Quarantine
from tests.support.cli.rejected import runner_on
from tests.support.docs.markdown import blocks, read, table
from tests.support.pipeline.verdicts import (
    RECEIPT,
    signed_up_with,
    stored,
    with_properties,
)
from tests.support.store.entries import save
from tests.support.store.rejections import count, keep, rejection
from tests.support.store.rejections import read as select

MANUAL = read("docs/rejected.md")
QUERIES = blocks(MANUAL, "sql")
COMMANDS = [
    line for block in blocks(MANUAL, "sh") for line in block.strip().splitlines()
]
NOW = datetime.now(UTC)
TIMESTAMP = Issue("invalid_timestamp", "timestamp", "Expected another.")
SOURCE = "billing-backend"


@pytest.fixture
async def known(engine: AsyncEngine) -> AsyncEngine:
    """Two of one reason, one of another, a conflict, and three that were dropped."""
    event = signed_up_with(message_id="m1", user_id="user_1")
    entries: list[Entry] = [
        stored(event, request_context=RECEIPT),
        stored(with_properties(event, plan="other"), request_context=RECEIPT),
        rejection({"n": 1}, source=SOURCE, received_at=NOW, error=TIMESTAMP),
        rejection({"n": 2}, source=SOURCE, received_at=NOW, error=TIMESTAMP),
        rejection({"n": "x" * 200_000}, source="crm"),
    ]
    await save(engine, *entries)
    full = Quarantine(max_events=0)
    await keep(engine, [rejection({}, source="crm")] * 3, full)
    return engine


async def answer(engine: AsyncEngine, containing: str, **changes: str) -> list[Any]:
    [query] = [query for query in QUERIES if containing in query]
    for old, new in changes.items():
        assert old in query
        query = query.replace(old, new)
    async with engine.begin() as connection:
        result = await connection.exec_driver_sql(query)
        return list(result.mappings()) if result.returns_rows else []


def test_each_documented_query_has_a_test() -> None:
    assert len(QUERIES) == 7


async def test_query_of_the_latest_rejections(known: AsyncEngine) -> None:
    rows = await answer(known, "AS oldest")
    assert [(row["source"], row["reason"], row["events"]) for row in rows] == [
        (SOURCE, "invalid_timestamp", 2),
        (SOURCE, "id_conflict", 1),
        ("crm", "unknown_event", 1),
    ]
    assert rows[0]["oldest"] == rows[0]["newest"] == NOW


async def test_query_of_the_errors_of_a_source(known: AsyncEngine) -> None:
    rows = await answer(known, "jsonb_array_elements")
    assert [(row["code"], row["path"], row["message"]) for row in rows] == [
        tuple(TIMESTAMP)
    ] * 2


async def test_query_of_one_request(known: AsyncEngine) -> None:
    example = "0123456789abcdef0123456789abcdef"
    assert await answer(known, "request_id =") == []
    rows = await answer(known, "request_id =", **{example: "request-1"})
    assert sorted(row["reason"] for row in rows) == [
        "id_conflict",
        "invalid_timestamp",
        "invalid_timestamp",
        "unknown_event",
    ]


async def test_query_of_the_fill_level(known: AsyncEngine) -> None:
    rows = await answer(known, "AS bytes")
    assert [(row["source"], row["events"]) for row in rows] == [("crm", 1), (SOURCE, 3)]
    assert rows[0]["bytes"] == 128 * 1024


async def test_query_of_dropped_events(known: AsyncEngine) -> None:
    [row] = await answer(known, "AS dropped")
    assert (row["source"], row["dropped"]) == ("crm", 3)


async def test_query_of_the_stored_side_of_a_conflict(known: AsyncEngine) -> None:
    [row] = await answer(known, "message_id = 'm1'")
    assert "plan" not in row["properties"]


async def test_query_of_deleted_rows(known: AsyncEngine) -> None:
    await answer(known, "DELETE")
    assert await count(known) == 2


@pytest.mark.parametrize("command", COMMANDS)
async def test_each_command_runs_as_printed(
    known: AsyncEngine, database_url: str, command: str
) -> None:
    program, group, *arguments = shlex.split(command)
    assert (program, group) == ("rollcall", "rejected")
    if arguments[0] == "show":
        [[id_], *_] = await select(known, "SELECT id FROM rejected_events")
        arguments[1] = str(id_)

    result = await runner_on(database_url)(*arguments, answer="y\n")

    assert result.exit_code == 0, result.output
    if "--all" in arguments:
        assert await count(known) == 0


def test_each_filter_is_described_and_its_spans_are_read() -> None:
    rows = table(MANUAL, "List rejected events")
    assert [row["filter"] for row in rows] == [
        "`--reason`",
        "`--event`",
        "`--source`",
        "`--since`",
    ]
    examples = re.findall(r"`([^`]+)`", rows[-1]["matches"])
    assert len(examples) == 6
    for example in examples:
        assert read_since(example) < datetime.now(UTC) + timedelta(seconds=1)

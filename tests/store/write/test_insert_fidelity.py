"""Whatever validation lets pass, Postgres takes, and gives back as it was."""

import json
import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Table, Text, cast, select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.pipeline.record import Record
from app.store.tables import events, rejected_events
from app.store.write.insert import STORED
from tests.support.pipeline.json_strategies import (
    canonical_events,
    mutated_events,
    spellings,
)
from tests.support.pipeline.verdicts import (
    RECEIPT,
    added_user_with,
    judge_body,
    rejected,
    signed_up_with,
    stored,
    with_properties,
)
from tests.support.store.entries import save

EDGES = [
    "a",
    "\u00e9",
    "\uffff",
    "\U0010fffd",
    "\x01",
    "\ufffe",
    "\u202e",
    "'",
    "\\",
    '"',
]


async def columns_of(
    engine: AsyncEngine, table: Table, source: str
) -> dict[str, dict[str, Any]]:
    """The rows of a source by their ids, jsonb as the text that Postgres writes."""
    jsonb = {"properties", "context", "warnings", "errors"}
    query = select(
        *(
            cast(column, Text).label(column.name) if column.name in jsonb else column
            for column in table.c
        )
    ).where(table.c.source == source)
    async with engine.connect() as connection:
        rows = await connection.execute(query)
        return {str(row.id): row._asdict() for row in rows}


def exactly(json_text: str) -> Any:
    """JSON in which every number stays the number that it is."""
    return json.loads(json_text, parse_float=Decimal, parse_int=Decimal)


@settings(
    # Its examples share a database, so each has a source of its own.
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
    ],
    max_examples=40,
    deadline=None,
)
@given(st.lists(canonical_events().flatmap(spellings) | mutated_events(), max_size=5))
async def test_every_verdict_can_be_stored_and_reads_back_equal(
    engine: AsyncEngine, sent: Sequence[Any]
) -> None:
    request_context = RECEIPT._replace(source=uuid4().hex)
    entries = [
        judge_body(json.dumps(one).encode(), request_context=request_context)
        for one in sent
    ]

    outcomes = await save(engine, *entries)

    in_events = await columns_of(engine, events, request_context.source)
    in_quarantine = await columns_of(engine, rejected_events, request_context.source)
    for entry, outcome in zip(entries, outcomes, strict=True):
        if not isinstance(entry, Record):
            row = in_quarantine[entry.id]
            for name in ("event", "message_id", "payload", "reason"):
                assert row[name] == getattr(entry, name)
            assert json.loads(row["errors"]) == [e.as_json() for e in entry.errors]
        elif outcome == STORED:
            row = in_events.pop(entry.id)
            for name in ("event", "user_id", "group_id", "message_id", "timestamp"):
                assert row[name] == getattr(entry, name)
            assert row["timestamp_raw"] == entry.timestamp_raw
            for name in ("properties", "context"):
                assert exactly(row[name]) == exactly(getattr(entry, name))
    assert not in_events


async def test_ids_of_the_longest_length_fit_every_index(engine: AsyncEngine) -> None:
    # Characters of four bytes, and random: an index cannot compress them.
    scribble = random.Random(1)
    ids = [
        "".join(chr(scribble.randrange(0x10000, 0x10FFFE)) for _ in range(255))
        for _ in range(3)
    ]
    entry = stored(
        added_user_with(user_id=ids[0], context={"group_id": ids[1]}, message_id=ids[2])
    )

    assert await save(engine, entry) == [STORED]
    row = (await columns_of(engine, events, entry.source))[entry.id]
    assert [row["user_id"], row["group_id"], row["message_id"]] == ids


@pytest.mark.parametrize("edge", EDGES)
async def test_every_kind_of_character_is_kept_in_every_place(
    engine: AsyncEngine, edge: str
) -> None:
    sent = signed_up_with(
        user_id=edge, groupId=edge, messageId=edge, context={edge: edge}
    )
    entry = stored(with_properties(sent, **{edge: [edge]}))

    assert await save(engine, entry) == [STORED]
    row = (await columns_of(engine, events, entry.source))[entry.id]
    assert [row["user_id"], row["group_id"], row["message_id"]] == [edge] * 3
    assert json.loads(row["context"]) == {edge: edge}
    assert json.loads(row["properties"])[edge] == [edge]


async def test_values_with_and_without_the_mark_are_kept_in_one_batch(
    engine: AsyncEngine,
) -> None:
    sent = [
        signed_up_with(user_id=f"{number}{edge}", groupId=group, messageId=message)
        for number, edge in enumerate(["", "\x1f", "\x1f\x1f", ","])
        for group in (None, "a\x1f", "group")
        for message in (f"{number}", f"{number}\x1f")
    ]
    entries = [stored(event) for event in sent]

    assert await save(engine, *entries) == [STORED] * len(entries)
    found = await columns_of(engine, events, entries[0].source)
    for entry in entries:
        row = found[entry.id]
        assert row["user_id"] == entry.user_id
        assert (row["group_id"], row["message_id"]) == (
            entry.group_id,
            entry.message_id,
        )


@pytest.mark.parametrize("count", [1, 2])
async def test_assumed_timestamps_have_no_text(engine: AsyncEngine, count: int) -> None:
    entries = [
        stored(signed_up_with(messageId=f"m{number}"))._replace(timestamp_raw="")
        for number in range(count)
    ]

    assert await save(engine, *entries) == [STORED] * count
    found = await columns_of(engine, events, entries[0].source)
    assert [row["timestamp_raw"] for row in found.values()] == [""] * count


async def test_largest_event_is_kept_whole_in_either_place(
    engine: AsyncEngine,
) -> None:
    noise = random.Random(2).randbytes(64_000).hex()
    large = with_properties(signed_up_with(), noise=noise)
    entry, refused = stored(large), rejected(large | {"user_id": ""})

    assert [o.status for o in await save(engine, entry, refused)] == [
        "stored",
        "rejected",
    ]
    row = (await columns_of(engine, events, entry.source))[entry.id]
    kept = (await columns_of(engine, rejected_events, entry.source))[refused.id]
    assert json.loads(row["properties"])["noise"] == noise
    assert json.loads(kept["payload"])["properties"]["noise"] == noise


async def test_numbers_read_back_as_they_were_sent(engine: AsyncEngine) -> None:
    numbers = [0, -1, 2**63, 10**999, 0.1, 1e22, 5e-324, 1.7976931348623157e308, -0.0]
    entry = stored(with_properties(signed_up_with(), numbers=numbers))

    await save(engine, entry)

    row = (await columns_of(engine, events, entry.source))[entry.id]
    assert exactly(row["properties"])["numbers"] == [Decimal(repr(n)) for n in numbers]


NUMBERS = (
    "12345678901234567890.123456789",
    "0.1234567890123456789012",
    "9007199254740993.0",
    "100000000000000000000000.5",
    "0." + "0" * 399 + "1",
    "-0.30000000000000004",
    "0." + "7" * 16_383,
    "9" * 1_000,
)


async def test_every_digit_of_a_number_comes_back(engine: AsyncEngine) -> None:
    sent = signed_up_with(extra_field=["NUMBERS"])
    sent["properties"]["n"] = sent["context"] = None
    body = json.dumps(sent).replace('"n": null', f'"n": [{",".join(NUMBERS)}]')
    body = body.replace('"NUMBERS"', ",".join(NUMBERS))
    record = stored(body.encode(), request_context=RECEIPT._replace(source="digits"))
    await save(engine, record)

    rows = await columns_of(engine, events, "digits")
    [row] = rows.values()
    read = json.loads(row["properties"], parse_float=str, parse_int=str)
    assert read["n"] == [*NUMBERS]
    extra = json.dumps(row["extra"], default=str)
    assert json.loads(extra)["extra_field"]

"""An export that is imported: the same events, with the same ids."""

import asyncio
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from app.cli.files.export import export
from app.cli.files.import_events import import_events
from app.cli.input.items import RawItem
from app.cli.input.process import process_item
from app.pipeline.record import Record
from app.store.engine import create_engine
from app.store.tables import events
from tests.support.cli.files import run, run_aside
from tests.support.pipeline.json_strategies import (
    canonical_events,
    mutated_events,
    spellings,
)
from tests.support.pipeline.verdicts import (
    ADDED_USER,
    POLICY,
    RECEIPT,
    SIGNED_UP,
    judge_body,
    stored,
)
from tests.support.store.entries import rows, save

# Repairs whose original content is not stored.
CHANGED = {
    "coerced_to_text",
    "event_name_folded",
    "character_replaced",
    "non_finite_number",
}
sources = (f"source-{number}" for number in range(10**6))


def numbers_in(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from numbers_in(inner)
    elif isinstance(value, float):
        yield value


def is_rewritten(number: float) -> bool:
    """Whether Postgres writes a fraction so that it reads as another number."""
    return abs(number) >= 1e16 or (number == 0 and math.copysign(1, number) < 0)


def keeps_its_id(record: Record) -> bool:
    """Whether all that makes up the identity is stored."""
    if record.message_id is not None:
        return True
    sent = record.sent
    timestamp = sent.get("timestamp", sent.get("originalTimestamp"))
    if isinstance(timestamp, float) and repr(timestamp) != record.timestamp_raw:
        return False
    return not (
        CHANGED & {warning.code for warning in record.warnings}
        or any(
            map(is_rewritten, numbers_in([sent.get("properties"), sent.get("context")]))
        )
    )


def export_of(url: str, records: Sequence[Record]) -> list[bytes]:
    """The lines of an export of these alone."""

    async def fill() -> None:
        engine = create_engine(url)
        await save(engine, *records)
        await engine.dispose()

    asyncio.run(fill())
    result = run(export, "--source", records[0].source, url=url)
    assert result.exit_code == 0
    return result.stdout_bytes.splitlines()


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
    ],
)
@given(
    values=st.lists(
        st.one_of(canonical_events().flatmap(spellings), mutated_events()),
        min_size=1,
        max_size=6,
    )
)
def test_exported_event_validates_to_the_same_record(
    database_url: str, values: list[Any]
) -> None:
    request_context = RECEIPT._replace(source=next(sources))
    verdicts = [
        judge_body(json.dumps(value).encode(), request_context=request_context)
        for value in values
    ]
    records = {entry.id: entry for entry in verdicts if isinstance(entry, Record)}
    if not records:
        return

    lines = export_of(database_url, list(records.values()))

    assert len(lines) == len(records)
    for line in lines:
        exported = json.loads(line)
        item = RawItem(1, line)
        [(_, again)] = process_item(item, context=request_context, policy=POLICY)
        first = records[exported["id"]]
        assert isinstance(again, Record), again
        assert (again.id == first.id) or not keeps_its_id(first), exported
        for name in ("event", "user_id", "group_id", "message_id", "timestamp"):
            assert getattr(again, name) == getattr(first, name)
        assert again.timestamp_raw == first.timestamp_raw
        for name in ("properties", "context"):
            assert json.loads(getattr(again, name)) == exported[name]


# Each in its own way not as it is stored, but all that an id is made of is.
SENT = [
    SIGNED_UP | {"timestamp": "20-11-23T22:28:55.111Z"},
    SIGNED_UP | {"timestamp": 1698885009, "group_id": "g"},
    SIGNED_UP | {"timestamp": 1698885008.2765432, "messageId": "m"},
    SIGNED_UP | {"event": "Signed Up", "userId": 5, "message_id": "m"}
    | {"user_id": None, "context": {"groupId": 7}},
    ADDED_USER | {"timestamp": "20231102", "context": {"groupId": 7, "x": [1.50, {}]}},
    ADDED_USER | {"message_id": "n", "context": {"group_id": "g", "\0": float("nan")}},
    ADDED_USER | {"properties": {"role": "R", "n": 10**300, "e": 1e-7, "t": "\ufffd"}},
]  # fmt: skip
DIFFERENT = {"received_at", "stored_at", "import_id"}


def alike(row: Any) -> list[str]:
    """All of a row that an import of it gives again."""
    return [
        repr(getattr(row, column.name))
        for column in events.columns
        if column.name not in DIFFERENT
    ]


async def test_imported_export_gives_the_same_rows(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    await save(engine, *map(stored, SENT))
    path = tmp_path / "all.ndjson.gz"
    await run_aside(export, "--output", path, url=database_url)
    before = await rows(engine, events)
    async with engine.begin() as connection:
        await connection.exec_driver_sql("TRUNCATE events, event_ids")

    result = await run_aside(
        import_events, path, "--source", RECEIPT.source, url=database_url
    )

    assert f"{len(SENT)} stored" in result.stderr
    after = await rows(engine, events)
    assert sorted(map(alike, after)) == sorted(map(alike, before))


async def test_another_source_makes_other_events(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    await save(engine, stored(SIGNED_UP))
    path = tmp_path / "all"
    await run_aside(export, "--output", path, url=database_url)

    await run_aside(import_events, path, "--source", "another", url=database_url)

    assert {row.source for row in await rows(engine, events)} == {
        RECEIPT.source,
        "another",
    }

"""Actions on persons: one at a time, in bounded memory."""

import asyncio
import tracemalloc
from pathlib import Path

import orjson
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.pipeline.persons.person import Person
from app.request_errors import OverloadedError, UnavailableError
from app.store.lifecycle.person_actions import PersonActions
from tests.support.store.entries import records, save

NOWHERE = "postgresql://rollcall@127.0.0.1:1/none?connect_timeout=1"


async def test_second_action_is_refused_at_once_and_waits_on_no_slot_of_pages(
    tmp_path: Path,
) -> None:
    actions = PersonActions(NOWHERE, journals=tmp_path)
    person = Person("user", [])
    first, second, *_ = await asyncio.gather(
        *(actions.find(person) for _ in range(2)), return_exceptions=True
    )

    assert isinstance(first, UnavailableError)
    assert isinstance(second, OverloadedError)
    with pytest.raises(UnavailableError):
        await actions.find(person)


async def test_rows_of_a_person_are_not_held_in_memory(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    rows = 300
    context = orjson.dumps({"padding": "x" * 100_000}).decode()
    await save(
        engine, *(r._replace(user_id="ann", context=context) for r in records(rows))
    )
    actions = PersonActions(database_url, journals=tmp_path)
    person = Person("ann")
    tracemalloc.start()
    try:
        found, _ = await actions.find(person)
        file = await actions.export(person, actor="key:1")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    with file:
        lines = sum(1 for _ in file)
        size = file.tell()
    assert len(found.own) == lines == rows
    assert size > 30_000_000 > peak

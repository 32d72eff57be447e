"""Actions on persons: one at a time, in bounded memory."""

import asyncio
import tracemalloc
from pathlib import Path

import orjson
import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from app.pipeline.persons.person import Person
from app.request_errors import ForbiddenError, OverloadedError, UnavailableError
from app.store.lifecycle.person_actions import PersonActions
from tests.support.store.entries import records, save
from tests.support.store.rejections import read

NOWHERE = "postgresql://rollcall@127.0.0.1:1/none?connect_timeout=1"
MAKE_LOGIN = """
DO $$ BEGIN
    IF to_regrole('{name}') IS NULL THEN CREATE ROLE {name} LOGIN; END IF;
END $$
"""


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


async def test_role_that_has_lost_its_rights_is_not_called_a_slow_database(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    name = "rollcall_test_without_rights"
    await read(engine, MAKE_LOGIN.format(name=name))
    url = make_url(database_url).set(username=name)
    actions = PersonActions(
        url.render_as_string(hide_password=False), journals=tmp_path
    )
    with pytest.raises(ForbiddenError, match="no longer has the rights"):
        await actions.find(Person("ann"))


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

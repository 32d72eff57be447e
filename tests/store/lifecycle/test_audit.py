"""Rows of the audit log, written in the transaction of the work or before it."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import DatabaseError
from app.pipeline.outcome import Entry
from app.pipeline.record import Record
from app.store.lifecycle.audit import command_actor
from app.store.quarantine.caps import Quarantine
from app.store.write.backfill import Import, backfill
from app.store.write.undo import undo_import
from tests.support.store.entries import commit, counts, records, rejection, save
from tests.support.store.sabotage import run


async def audited(engine: AsyncEngine) -> list[tuple[Any, ...]]:
    query = text("SELECT action, actor, subject, details FROM audit_log ORDER BY id")
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(query)]


def test_command_of_a_user_without_an_entry_is_recorded_as_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> str:
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.setattr("getpass.getuser", fail)
    assert command_actor() == "cli:unknown"


def process(batch: list[Record]) -> tuple[list[Entry], None]:
    return [*batch], None


async def import_one(url: str, import_: Import) -> None:
    await backfill(
        url,
        import_,
        batches=iter([records(3)]),
        process=process,
        report=lambda *_: None,
    )


async def test_import_is_audited_before_its_first_batch(
    engine: AsyncEngine, database_url: str
) -> None:
    import_ = Import(uuid4(), "crm", "cli:ann", Quarantine())
    await import_one(database_url, import_)
    assert await audited(engine) == [
        ("import.begin", "cli:ann", str(import_.id), {"source": "crm"})
    ]
    await run(engine, "DROP TABLE audit_log")
    with pytest.raises(DatabaseError):
        await import_one(database_url, import_._replace(source="billing"))
    assert await counts(engine) == (3, 3, 0)
    async with engine.connect() as connection:
        names = await connection.scalars(text("SELECT name FROM sources"))
        assert "billing" not in names.all()


async def test_undo_is_audited_in_the_transaction_of_each_batch(
    engine: AsyncEngine,
) -> None:
    import_id = uuid4()
    await save(engine, *records(3), import_id=import_id)
    await commit(engine, replace(rejection(), request_id=str(import_id)))
    await run(engine, "ALTER TABLE audit_log RENAME TO hidden")
    with pytest.raises(DBAPIError):
        await undo_import(engine, import_id, actor="cli:ann", report=lambda _: None)
    assert await counts(engine) == (3, 3, 1)

    await run(engine, "ALTER TABLE hidden RENAME TO audit_log")
    await undo_import(engine, import_id, actor="cli:ann", report=lambda _: None)
    assert await counts(engine) == (0, 0, 0)
    undone = ("import.undo", "cli:ann", str(import_id))
    assert await audited(engine) == [
        (*undone, {"events": 3, "rejected": 0}),
        (*undone, {"events": 0, "rejected": 1}),
    ]

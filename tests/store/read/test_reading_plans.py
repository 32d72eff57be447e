"""Queries of readers use an index, and skip the weeks outside their range."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from app.store.engine import create_engine
from app.store.read.events import KeysetPosition, page_query, read_page
from app.store.read.filters import EventFilter, RejectedFilter
from tests.conftest import Admin
from tests.support.store.filling import fill

NOW = datetime.now(UTC)
WEEK = timedelta(weeks=1)
LAST = KeysetPosition(NOW, UUID(int=2**127))
REJECTED = """
INSERT INTO rejected_events
SELECT gen_random_uuid(), now() - n * interval '1 minute', 's' || n % 50, 'signed_up',
    NULL, 'r' || n % 7, '[]', '[]', repeat('x', 200), 200, false, 'r'
FROM generate_series(1, 20000) AS n
"""


@dataclass(frozen=True, slots=True)
class Filled:
    """A database with enough in it; it is only read."""

    runner: asyncio.Runner
    engine: AsyncEngine

    def ask(self, statement: str) -> list[str]:
        async def ask() -> list[str]:
            async with self.engine.connect() as connection:
                return [*(await connection.exec_driver_sql(statement)).scalars()]

        return self.runner.run(ask())

    def plan(self, query: Select[Any], *, limit: int) -> str:
        sql = query.limit(limit).compile(
            dialect=postgresql.dialect(),  # type: ignore[no-untyped-call]  # SQLAlchemy's
            compile_kwargs={"literal_binds": True},
        )
        return "\n".join(self.ask(f"EXPLAIN (COSTS OFF) {sql}"))


@pytest.fixture(scope="module")
def filled(admin: Admin, template_url: str) -> Iterator[Filled]:
    async def prepare(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            await fill(connection)
            await connection.execute(text(REJECTED))
            await connection.execute(text("ANALYZE rejected_events"))

    with admin.database(template=make_url(template_url).database) as url:
        engine = create_engine(url, command_timeout_s=60)
        admin.runner.run(prepare(engine))
        yield Filled(admin.runner, engine)
        admin.runner.run(engine.dispose())


CASES: dict[str, tuple[dict[str, Any], KeysetPosition | None, str]] = {
    "all": ({}, None, "stored_at_idx"),
    "the next page": ({}, LAST, "stored_at_idx"),
    "of an event": ({"event": "signed_up"}, LAST, "stored_at_idx"),
    "of a source": ({"source": "billing"}, LAST, "stored_at_idx"),
    "of a user": ({"user_id": "u"}, LAST, "user_id_timestamp_idx"),
    "of an account": ({"group_id": "g"}, None, "group_id_timestamp_idx"),
    "by id": ({"id": UUID(int=1)}, None, "stored_at_idx"),
    "lately": ({"stored_since": NOW}, None, "stored_at_idx"),
    "that happened": (
        {"since": NOW + 3 * WEEK, "until": NOW + 4 * WEEK},
        None,
        "timestamp_idx",
    ),
}


@pytest.mark.parametrize(("parts", "before", "index"), CASES.values(), ids=CASES)
def test_page_of_events_finds_its_index(
    filled: Filled, parts: dict[str, Any], before: KeysetPosition | None, index: str
) -> None:
    [partition] = filled.ask("SELECT tableoid::regclass::text FROM events LIMIT 1")
    query = page_query(EventFilter(**parts), before=before)

    found = filled.plan(query, limit=101)

    assert f"{partition}_{index}" in found, found
    assert f"Seq Scan on {partition}" not in found, found


@pytest.mark.parametrize(
    "parts",
    [
        {"since": NOW + 3 * WEEK},
        {"until": NOW},
        {"since": NOW + 3 * WEEK, "until": NOW + 4 * WEEK},
    ],
)
def test_each_span_has_a_plan_of_its_own_however_often_one_is_asked_for(
    filled: Filled, parts: dict[str, Any]
) -> None:
    async def ask() -> object:
        async with filled.engine.connect() as connection:
            for _ in range(10):  # Postgres keeps a plan after five
                async with connection.begin():
                    await read_page(connection, EventFilter(**parts), limit=100)
            return await connection.scalar(
                text(
                    "SELECT sum(generic_plans) FROM pg_prepared_statements"
                    " WHERE statement LIKE 'SELECT events.%'"
                )
            )

    assert filled.runner.run(ask()) == 0


@pytest.mark.parametrize(
    ("parts", "before"),
    [
        ({"stored_until": NOW}, None),
        ({}, KeysetPosition(NOW, UUID(int=0))),
        ({"user_id": "u"}, KeysetPosition(NOW, UUID(int=0))),
    ],
)
def test_weeks_that_are_out_of_reach_are_left_out(
    filled: Filled, parts: dict[str, Any], before: KeysetPosition | None
) -> None:
    partitions = (
        "SELECT inhrelid::regclass::text FROM pg_inherits"
        " WHERE inhparent = 'events'::regclass ORDER BY 1"
    )
    this_week, *later = filled.ask(partitions)
    query = page_query(EventFilter(**parts), before=before)
    found = filled.plan(query, limit=10)

    assert this_week in found
    assert later
    assert not [name for name in later if name in found], found


@pytest.mark.parametrize(
    ("parts", "before", "index"),
    [
        ({}, None, "rejected_events_received_at_id_idx"),
        ({}, LAST, "rejected_events_received_at_id_idx"),
        ({"reason": "r1"}, LAST, "rejected_events_received_at_id_idx"),
        ({"source": "s1", "since": NOW}, None, "rejected_events_"),
        ({"id": UUID(int=1)}, None, "rejected_events_pkey"),
    ],
)
def test_page_of_rejected_events_finds_its_index(
    filled: Filled, parts: dict[str, Any], before: KeysetPosition | None, index: str
) -> None:
    query = page_query(RejectedFilter(**parts), before=before)

    found = filled.plan(query, limit=101)

    assert index in found, found
    assert "Seq Scan" not in found, found

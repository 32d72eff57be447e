"""Each figure is what its SQL says, of rows that were written by hand."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import UnavailableError
from app.pipeline.record import RequestContext
from app.store.engine import create_engine
from app.store.read.reports import (
    DAYS,
    DELAY,
    DROPPED,
    REJECTED,
    SOURCES,
    WARNINGS,
    Report,
    ReportRunner,
)
from tests.support.entries import rejection, save
from tests.support.pipeline import added_user_with, signed_up_with, stored
from tests.support.proxy import Proxy

ALL = (DAYS, SOURCES, REJECTED, DROPPED, WARNINGS, DELAY)
AN_OLD_WEEK = """
CREATE TABLE events_long_ago PARTITION OF events
FOR VALUES FROM ('2020-01-06') TO ('2020-01-13')
"""
NOW = datetime.now(UTC)


@pytest.fixture
def questions(engine: AsyncEngine) -> ReportRunner:
    return ReportRunner(engine, timeout_s=20)


def signed_up(
    user_id: str, at: datetime, *, source: str = "shop", **changes: Any
) -> Any:
    return stored(
        signed_up_with(user_id=user_id, **{"timestamp": at.isoformat(), **changes}),
        request_context=RequestContext(source, at + timedelta(seconds=2), "request-1"),
    )


async def test_sign_ups_and_members_are_counted_on_their_days(
    engine: AsyncEngine, questions: ReportRunner
) -> None:
    days = [NOW - timedelta(days=back) for back in (0, 0, 29, 30)]
    added = added_user_with(timestamp=NOW.isoformat())
    await save(
        engine,
        *(signed_up(f"user-{number}", day) for number, day in enumerate(days)),
        stored(added, request_context=RequestContext("crm", NOW, "request-2")),
    )
    found = await questions.ask(DAYS)
    assert len(found) == 30
    assert found[-1] == {"day": _day(0), "sign_ups": 2, "members_added": 1}
    assert found[0] == {"day": _day(29), "sign_ups": 1, "members_added": 0}
    assert sum(day["sign_ups"] for day in found) == 3


def _day(back: int) -> date:
    return (NOW - timedelta(days=back)).date()


async def test_events_are_counted_by_source(
    engine: AsyncEngine, questions: ReportRunner
) -> None:
    await save(
        engine,
        signed_up("a", NOW),
        signed_up("b", NOW),
        signed_up("c", NOW, source="crm"),
    )
    found = await questions.ask(SOURCES)
    assert [(row["source"], row["event"], row["events"]) for row in found] == [
        ("crm", "signed_up", 1),
        ("shop", "signed_up", 2),
    ]


async def test_rejected_ones_are_counted_by_reason(
    engine: AsyncEngine, questions: ReportRunner
) -> None:
    await save(engine, rejection("a"), rejection("b"))
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE rejected_events SET received_at = now()"))
        await connection.execute(
            text("INSERT INTO rejected_drops VALUES (now(), 'shop', 'w', 7)")
        )
    [row] = await questions.ask(REJECTED)
    assert (row["reason"], row["events"], row["sources"]) == ("invalid_timestamp", 2, 1)
    assert await questions.ask(DROPPED) == [{"source": "shop", "events": 7}]


async def test_warnings_are_counted_by_code(
    engine: AsyncEngine, questions: ReportRunner
) -> None:
    nan = {"email": "ann@example.com", "name": "Ann", "p": [float("nan")] * 2}
    day = NOW.date().isoformat()
    await save(
        engine,
        signed_up("a", NOW, properties=nan),
        signed_up("b", NOW, properties=nan, timestamp=day),
    )
    found = await questions.ask(WARNINGS)
    assert [tuple(row.values()) for row in found] == [
        ("non_finite_number", 4, 2),
        ("time_assumed_midnight", 1, 1),
    ]


async def test_the_delay_is_from_the_event_to_its_receipt(
    engine: AsyncEngine, questions: ReportRunner
) -> None:
    await save(engine, *(signed_up(f"user-{number}", NOW) for number in range(99)))
    late = signed_up("late", NOW, timestamp=(NOW - timedelta(hours=1)).isoformat())
    await save(engine, late)
    [row] = await questions.ask(DELAY)
    assert row == {"events": 100, "p50": Decimal("2.000"), "p99": Decimal("2.000")}
    await save(engine, signed_up("later", NOW - timedelta(hours=2), timestamp=_ago(9)))
    [row] = await questions.ask(DELAY)
    assert row["p99"] == Decimal("3602.000")


def _ago(hours: int) -> str:
    return (NOW - timedelta(hours=hours)).isoformat()


@pytest.mark.parametrize("question", ALL, ids=lambda question: question.title)
async def test_the_sql_means_the_same_in_any_session(
    engine: AsyncEngine, questions: ReportRunner, question: Report
) -> None:
    await save(engine, signed_up("a", NOW, timestamp=NOW.date().isoformat()))
    await save(engine, rejection())
    here = await questions.ask(question)
    async with engine.connect() as connection:
        await connection.execute(text("SET timezone = 'Pacific/Auckland'"))
        there = await connection.execute(text(question.sql))
        assert [dict(row) for row in there.mappings()] == here


@pytest.mark.parametrize("question", ALL, ids=lambda question: question.title)
async def test_old_weeks_are_left_alone(engine: AsyncEngine, question: Report) -> None:
    async with engine.connect() as connection:
        await connection.execute(text(AN_OLD_WEEK))
        explain = text(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {question.sql}")
        plan = "\n".join(await connection.scalars(explain))
    assert "events_long_ago" not in plan, plan


async def test_a_figure_that_takes_too_long_is_none(proxy: Proxy) -> None:
    shaky = create_engine(proxy.url, pool_size=1)
    questions = ReportRunner(shaky, timeout_s=0.5)
    await questions.check()
    proxy.freeze()
    with pytest.raises(UnavailableError):
        await questions.ask(DELAY)
    proxy.thaw()
    await questions.check()
    await shaky.dispose()

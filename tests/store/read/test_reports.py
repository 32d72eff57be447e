"""Reports on rows that were written by hand."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.pipeline.record import RequestContext
from app.request_errors import UnavailableError
from app.store.engine import create_engine
from app.store.read.reports import (
    ACTIVITY,
    BUCKETS,
    DELAY,
    DROPPED,
    EVENTS_BY_SPAN,
    REASONS,
    REJECTED_BY_REASON,
    SOURCES,
    WARNINGS_BY_CODE,
    Report,
    ReportRunner,
    Span,
)
from tests.support.limits import PATIENCE_S
from tests.support.pipeline.verdicts import added_user_with, signed_up_with, stored
from tests.support.postgres.proxy import Proxy
from tests.support.store.entries import rejection, save

ALL = (
    *EVENTS_BY_SPAN.values(),
    SOURCES,
    REJECTED_BY_REASON,
    DROPPED,
    WARNINGS_BY_CODE,
    DELAY,
    ACTIVITY,
    REASONS,
)
AN_OLD_WEEK = """
CREATE TABLE events_long_ago PARTITION OF events
FOR VALUES FROM ('2020-01-06') TO ('2020-01-13')
"""
PUT_BACK = """
UPDATE events SET stored_at = now() - CAST(:age AS interval) WHERE user_id = :user
"""
NOW = datetime.now(UTC)


@pytest.fixture
def reports(engine: AsyncEngine) -> ReportRunner:
    return ReportRunner(engine, timeout_s=PATIENCE_S)


def signed_up(
    user_id: str, at: datetime, *, source: str = "shop", **changes: Any
) -> Any:
    return stored(
        signed_up_with(user_id=user_id, **{"timestamp": at.isoformat(), **changes}),
        request_context=RequestContext(source, at + timedelta(seconds=2), "request-1"),
    )


async def test_events_are_counted_in_the_bucket_of_their_timestamp(
    engine: AsyncEngine, reports: ReportRunner
) -> None:
    now = datetime.now(UTC)
    days = [now - timedelta(days=back) for back in (0, 0, 90, 91)]
    added = added_user_with(timestamp=now.isoformat())
    await save(
        engine,
        *(signed_up(f"user-{number}", day) for number, day in enumerate(days)),
        stored(added, request_context=RequestContext("crm", now, "request-2")),
    )
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE events SET import_id = id WHERE user_id = 'user-1'")
        )
    found = await reports.run(EVENTS_BY_SPAN["quarter"])
    assert len({row["bucket"] for row in found}) == 91
    counts = {
        (row["bucket"].astimezone(UTC).date(), row["event"]): (
            row["live"],
            row["imported"],
        )
        for row in found
    }
    assert counts[days[0].date(), "signed_up"] == (1, 1)
    assert counts[days[0].date(), "account_added_user"] == (1, 0)
    assert counts[days[2].date(), "signed_up"] == (1, 0)
    assert sum(row["live"] + row["imported"] for row in found) == 4


@pytest.mark.parametrize("span", list(EVENTS_BY_SPAN))
async def test_events_of_each_span_have_all_buckets(
    engine: AsyncEngine, reports: ReportRunner, span: Span
) -> None:
    await save(engine, signed_up("a", NOW))
    found = await reports.run(EVENTS_BY_SPAN[span])
    assert len({row["bucket"] for row in found}) == BUCKETS[span][1]
    assert sum(row["live"] for row in found) == 1


async def test_activity_counts_by_source_and_age(
    engine: AsyncEngine, reports: ReportRunner
) -> None:
    await save(
        engine,
        *(signed_up(name, NOW) for name in "abc"),
        signed_up("d", NOW, source="crm"),
    )
    async with engine.begin() as connection:
        for user, age in (("b", hours(0.5)), ("c", hours(5)), ("d", hours(72))):
            await connection.execute(text(PUT_BACK), {"user": user, "age": age})
    shop, crm = await reports.run(ACTIVITY)
    assert [shop[name] for name in ("source", "minute", "hour", "day")] == [
        "shop",
        1,
        2,
        3,
    ]
    assert sum(shop["counts"]) == 3
    assert len(shop["ages"]) == len(shop["counts"])
    assert [crm[name] for name in ("source", "minute", "hour", "day")] == [
        "crm",
        0,
        0,
        0,
    ]
    assert crm["counts"] == []


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


async def test_reasons_leave_out_corrected_events(
    engine: AsyncEngine, reports: ReportRunner
) -> None:
    await save(engine, rejection("a"), rejection("b"))
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE rejected_events SET received_at = now()"))
        await connection.execute(
            text(
                "UPDATE rejected_events SET corrected_at = now()"
                " WHERE id = (SELECT min(id::text)::uuid FROM rejected_events)"
            )
        )
    assert await reports.run(REASONS) == [
        {"reason": "invalid_timestamp", "minute": 1, "hour": 1, "day": 1, "week": 1}
    ]


async def test_sources_count_events_by_name(
    engine: AsyncEngine, reports: ReportRunner
) -> None:
    await save(
        engine,
        signed_up("a", NOW),
        signed_up("b", NOW),
        signed_up("c", NOW, source="crm"),
    )
    found = await reports.run(SOURCES)
    assert [(row["source"], row["event"], row["events"]) for row in found] == [
        ("crm", "signed_up", 1),
        ("shop", "signed_up", 2),
    ]


async def test_rejected_counts_events_by_reason(
    engine: AsyncEngine, reports: ReportRunner
) -> None:
    await save(engine, rejection("a"), rejection("b"))
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE rejected_events SET received_at = now()"))
        await connection.execute(
            text("INSERT INTO rejected_drops VALUES (now(), 'shop', 'w', 7)")
        )
    [row] = await reports.run(REJECTED_BY_REASON)
    assert (row["reason"], row["events"], row["sources"]) == ("invalid_timestamp", 2, 1)
    assert await reports.run(DROPPED) == [{"source": "shop", "events": 7}]


async def test_warnings_count_by_code(
    engine: AsyncEngine, reports: ReportRunner
) -> None:
    nan = {"email": "ann@example.com", "name": "Ann", "p": [float("nan")] * 2}
    day = NOW.date().isoformat()
    await save(
        engine,
        signed_up("a", NOW, properties=nan),
        signed_up("b", NOW, properties=nan, timestamp=day),
    )
    found = await reports.run(WARNINGS_BY_CODE)
    assert [tuple(row.values()) for row in found] == [
        ("non_finite_number", 4, 2),
        ("time_assumed_midnight", 1, 1),
    ]


async def test_delay_is_from_timestamp_to_receipt(
    engine: AsyncEngine, reports: ReportRunner
) -> None:
    await save(engine, *(signed_up(f"user-{number}", NOW) for number in range(99)))
    late = signed_up("late", NOW, timestamp=(NOW - timedelta(hours=1)).isoformat())
    await save(engine, late)
    [row] = await reports.run(DELAY)
    assert row == {"events": 100, "p50": Decimal("2.000"), "p99": Decimal("2.000")}
    await save(engine, signed_up("later", NOW - timedelta(hours=2), timestamp=_ago(9)))
    [row] = await reports.run(DELAY)
    assert row["p99"] == Decimal("3602.000")


def _ago(hours: int) -> str:
    return (NOW - timedelta(hours=hours)).isoformat()


@pytest.mark.parametrize("report", ALL, ids=lambda report: report.title)
async def test_report_in_another_time_zone_has_same_result(
    engine: AsyncEngine, reports: ReportRunner, report: Report
) -> None:
    await save(engine, signed_up("a", NOW, timestamp=NOW.date().isoformat()))
    await save(engine, rejection())
    while True:
        here = timeless(await reports.run(report))
        async with engine.connect() as connection:
            await connection.execute(text("SET timezone = 'Pacific/Auckland'"))
            rows = (await connection.execute(text(report.sql))).mappings()
            there = timeless([dict(row) for row in rows])
        if timeless(await reports.run(report)) == here:
            break  # meanwhile no bucket has ended, as one does every minute
    assert there == here


def timeless(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows without the columns that depend on the time of the query."""
    return [{k: v for k, v in row.items() if k not in {"at", "ages"}} for row in rows]


@pytest.mark.parametrize("report", ALL, ids=lambda report: report.title)
async def test_report_skips_old_partitions(engine: AsyncEngine, report: Report) -> None:
    async with engine.connect() as connection:
        await connection.execute(text(AN_OLD_WEEK))
        explain = text(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {report.sql}")
        plan = "\n".join(await connection.scalars(explain))
    assert "events_long_ago" not in plan, plan


async def test_run_without_response_raises_unavailable(proxy: Proxy) -> None:
    shaky = create_engine(proxy.url, pool_size=1)
    reports = ReportRunner(shaky, timeout_s=0.5)
    await reports.check()
    proxy.freeze()
    with pytest.raises(UnavailableError):
        await reports.run(DELAY)
    proxy.thaw()
    await reports.check()
    await shaky.dispose()

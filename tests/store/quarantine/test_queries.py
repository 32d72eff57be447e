from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.metrics import catalog
from app.metrics.counters import Metrics
from app.pipeline.rejection import MAX_PAYLOAD, Rejection
from app.store.quarantine.caps import Quarantine, record_fill
from app.store.quarantine.statements import measure_rejected
from app.store.transaction import driver_in_transaction
from app.store.write.committer import Committer
from tests.support.limits import PATIENCE_S
from tests.support.metrics.samples import figures_of
from tests.support.store.entries import committing
from tests.support.store.rejections import RECEIVED_AT, count, keep, read, rejection

# At COMMIT, as a replica or a deferred constraint may, and only for some rows.
FAIL_AT_COMMIT = """
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'no'; END $$
"""
FAILING = """
CREATE CONSTRAINT TRIGGER failing AFTER INSERT ON rejected_events
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN (NEW.source = 'failing') EXECUTE FUNCTION fail()
"""


def numbered(*numbers: int, **options: Any) -> list[Rejection]:
    """Rows of 7 bytes each."""
    return [rejection({"n": n}, **options) for n in numbers]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_last_rejection_below_the_cap_is_kept_and_the_next_is_counted(
    engine: AsyncEngine,
) -> None:
    quarantine = Quarantine(max_events=3)

    assert await keep(engine, numbered(1, 2), quarantine) == [True, True]
    assert await keep(engine, numbered(3, 4), quarantine) == [True, False]
    assert await keep(engine, numbered(5), quarantine) == [False]
    assert await count(engine) == 3
    assert await read(engine, "SELECT source, events FROM rejected_drops") == [
        ("billing", 2)
    ]


@pytest.mark.parametrize(
    ("max_bytes", "kept"), [(21, [True, True, True]), (20, [True, True, False])]
)
async def test_bytes_are_capped_to_the_byte(
    engine: AsyncEngine, max_bytes: int, kept: list[bool]
) -> None:
    assert await keep(engine, numbered(1, 2, 3), Quarantine(max_bytes=max_bytes)) == (
        kept
    )
    # Another process measures the size that this one has added up.
    other = Quarantine(max_bytes=max_bytes)
    assert await keep(engine, numbered(4), other) == [False]


async def test_small_rejection_fits_after_a_large_one_was_dropped(
    engine: AsyncEngine,
) -> None:
    rows = [*numbered(1), rejection({"n": "large"}), *numbered(2)]

    assert await keep(engine, rows, Quarantine(max_bytes=14)) == [True, False, True]


async def test_payload_that_is_cut_counts_as_far_as_it_is_kept(
    engine: AsyncEngine,
) -> None:
    large = rejection({"n": "x" * 2 * MAX_PAYLOAD})
    first, second = (Quarantine(max_bytes=MAX_PAYLOAD + 7) for _ in range(2))

    assert await keep(engine, [large], first) == [True]
    assert await keep(engine, numbered(1), second) == [True]
    assert await keep(engine, numbered(1, 2), first) == [True, True]
    assert await keep(engine, numbered(3), second) == [False]


async def test_cap_of_zero_keeps_nothing(engine: AsyncEngine) -> None:
    assert await keep(engine, numbered(1), Quarantine(max_events=0)) == [False]
    assert await keep(engine, numbered(1), Quarantine(max_bytes=0)) == [False]
    assert await count(engine) == 0


async def test_repeated_rejection_takes_no_room_and_is_never_dropped(
    engine: AsyncEngine,
) -> None:
    quarantine = Quarantine(max_events=4)

    for _ in range(3):
        assert await keep(engine, numbered(1, 1), quarantine) == [True, True]
    assert await keep(engine, numbered(1, 2, 3, 4), quarantine) == [True] * 4
    again = await keep(engine, numbered(5, 1, 2, 5), quarantine)

    assert again == [False, True, True, False]
    assert await count(engine) == 4
    assert await read(engine, "SELECT events FROM rejected_drops") == [(2,)]


async def test_first_of_equal_rows_is_kept(engine: AsyncEngine) -> None:
    rows = [
        *numbered(1),
        *numbered(1, received_at=RECEIVED_AT + timedelta(seconds=1)),
    ]

    assert await keep(engine, rows, Quarantine()) == [True, True]
    assert await read(engine, "SELECT received_at FROM rejected_events") == [
        (RECEIVED_AT,)
    ]


async def test_each_source_has_a_cap_of_its_own(engine: AsyncEngine) -> None:
    quarantine = Quarantine(max_events=1)
    rows = [*numbered(1, 2), *numbered(1, 2, source="crm")]

    assert await keep(engine, rows, quarantine) == [True, False, True, False]
    drops = await read(engine, "SELECT source, events FROM rejected_drops ORDER BY 1")
    assert drops == [("billing", 1), ("crm", 1)]


async def test_two_workers_exceed_the_cap_by_unmeasured_rows(
    engine: AsyncEngine,
) -> None:
    clock = Clock()
    one, two = (Quarantine(max_events=4, trust_s=5, clock=clock) for _ in range(2))

    assert await keep(engine, numbered(1), one) == [True]
    assert await keep(engine, numbered(2, 3), two) == [True, True]
    clock.now += 4.9
    # It has seen neither 2 nor 3, and so goes over the cap by these two.
    assert await keep(engine, numbered(4, 5, 6, 7), one) == [True, True, True, False]
    assert await keep(engine, numbered(8, 9), two) == [True, False]
    assert await count(engine) == 7

    clock.now += 0.1
    assert await keep(engine, numbered(10), one) == [False]
    assert await keep(engine, numbered(10), two) == [False]


async def test_deleted_rows_make_room_in_time(engine: AsyncEngine) -> None:
    clock = Clock()
    quarantine = Quarantine(max_events=1, trust_s=5, clock=clock)
    await keep(engine, numbered(1), quarantine)
    await read(engine, "TRUNCATE rejected_events")

    assert await keep(engine, numbered(2), quarantine) == [False]
    clock.now += 5
    assert await keep(engine, numbered(2), quarantine) == [True]


async def test_drops_are_counted_by_worker_and_minute(engine: AsyncEngine) -> None:
    one, two = (Quarantine(max_events=0) for _ in range(2))
    later = RECEIVED_AT + timedelta(seconds=29)
    next_minute = RECEIVED_AT + timedelta(seconds=30)

    await keep(engine, numbered(1, 2), one)
    await keep(engine, numbered(3, received_at=later), one)
    await keep(engine, numbered(4, received_at=next_minute), one)
    await keep(engine, numbered(5), two)

    query = "SELECT minute, source, events FROM rejected_drops ORDER BY minute, events"
    minute = RECEIVED_AT.replace(second=0, microsecond=0)
    assert await read(engine, query) == [
        (minute, "billing", 1),
        (minute, "billing", 3),
        (minute + timedelta(minutes=1), "billing", 1),
    ]
    workers = "SELECT count(DISTINCT worker) FROM rejected_drops"
    assert await read(engine, workers) == [(2,)]


async def test_no_worker_waits_for_another_to_count_its_drops(
    engine: AsyncEngine,
) -> None:
    one, two = (Quarantine(max_events=0) for _ in range(2))
    async with engine.begin() as connection, engine.begin() as other:
        await other.execute(text("SET LOCAL lock_timeout = '50ms'"))
        await one.keep(await driver_in_transaction(connection), numbered(1))
        await two.keep(await driver_in_transaction(other), numbered(1))

    assert await count(engine, "rejected_drops") == 2


async def test_fullest_source_counts_for_those_beyond_the_limit_of_the_metrics(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "MAX_SOURCES", 1)
    metrics, quarantines = Metrics(), [Quarantine(max_events=8) for _ in range(2)]
    rows = (("known", (1,)), ("b", range(6))), (("a", (1, 2)),)
    for quarantine, by_source in zip(quarantines, rows, strict=True):
        committer = Committer(engine, timeout_s=PATIENCE_S, quarantine=quarantine)
        for source, numbers in by_source:
            await committer.commit([*numbered(*numbers, source=source)])
        await committer.release()
    record_fill(quarantines, metrics)

    figures = figures_of(metrics)
    assert figures("rollcall_quarantine_fill_ratio", source="known") == 1 / 8
    assert figures("rollcall_quarantine_fill_ratio", source="other") == 6 / 8


async def test_failed_transaction_takes_no_room(engine: AsyncEngine) -> None:
    for command in (FAIL_AT_COMMIT, FAILING):
        await read(engine, command)
    [failing] = numbered(1, source="failing")
    one = Quarantine(max_events=1)

    async with committing(engine, timeout_s=0.3, quarantine=one) as committer:
        assert await committer.commit([failing]) == [None]
        await read(engine, "DROP TRIGGER failing ON rejected_events")
        [outcome] = await committer.commit([failing])

    assert outcome is not None
    assert outcome.kept


async def test_measuring_reads_the_index_and_no_more_than_the_cap(
    engine: AsyncEngine,
) -> None:
    await read(
        engine,
        """
        INSERT INTO rejected_events
        SELECT gen_random_uuid(), now(), 'billing', NULL, NULL, 'r', '[]', '[]',
            repeat('x', 500), 500, false, 'r'
        FROM generate_series(1, 5000)
        """,
    )
    autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
    async with autocommit.connect() as connection:
        await connection.execute(text("VACUUM ANALYZE rejected_events"))
        reads = text(
            "SELECT idx_blks_hit + idx_blks_read, heap_blks_hit + heap_blks_read"
            " FROM pg_statio_user_tables WHERE relname = 'rejected_events'"
        )
        flush = text("SELECT pg_stat_force_next_flush()")
        spent = []
        for limit in (4000, 40):
            await connection.execute(flush)
            before = (await connection.execute(reads)).one()
            driver = await driver_in_transaction(connection)
            held = await measure_rejected(driver, ["billing"], limit=limit)
            assert held["billing"] == (limit, limit * 500)
            await connection.execute(flush)
            after = (await connection.execute(reads)).one()
            spent.append([b - a for a, b in zip(before, after, strict=True)])
    [(all_of_it, heap), (little, _)] = spent
    assert heap < 10  # of 400
    assert little < all_of_it / 5

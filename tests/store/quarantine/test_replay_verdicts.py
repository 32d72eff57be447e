"""What a replay makes of each rejected event."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.pipeline.issues import Issue
from app.pipeline.record import Policy, RequestContext
from app.pipeline.rejection import MAX_PAYLOAD
from app.pipeline.timestamp import TimestampPolicy
from app.store.quarantine.queries import purge
from app.store.read.filters import RejectedFilter
from tests.support.pipeline.verdicts import (
    signed_up_with,
    stored,
    with_properties,
)
from tests.support.store.entries import save
from tests.support.store.rejections import RECEIVED_AT, commit, count, read, rejection
from tests.support.store.replays import passing, places, run, total

pytestmark = pytest.mark.on_citus

RECEIPT = RequestContext("billing", RECEIVED_AT, "request-2")
KEY = Issue("too_long", "Idempotency-Key", "At most 255 characters are taken.")


@pytest.mark.parametrize(("hours", "moved"), [(24, 1), (24.001, 0)])
async def test_future_begins_at_the_original_receipt(
    engine: AsyncEngine, hours: float, moved: int
) -> None:
    received_at = datetime.now(UTC) - timedelta(days=10)
    timestamp = (received_at + timedelta(hours=hours)).isoformat()
    event = signed_up_with(timestamp=timestamp)
    await commit(engine, rejection(event, received_at=received_at))

    stored_now, _, failures = total(await run(engine))

    assert (stored_now, sum(failures.values())) == (moved, 1 - moved)
    assert failures == ({} if moved else {"timestamp_out_of_range": 1})
    wide = Policy(TimestampPolicy(max_future=timedelta(hours=48)))
    assert total(await run(engine, policy=wide)) == (1 - moved, 0, {})


async def test_header_replaces_the_message_id_as_at_receipt(
    engine: AsyncEngine,
) -> None:
    event = signed_up_with()
    await commit(engine, rejection(event, message_id="header-1"))
    await run(engine)

    expected = stored(event, request_context=RECEIPT, idempotency_key="header-1")
    [(id_, message_id)] = await read(engine, "SELECT id, message_id FROM events")
    assert (str(id_), message_id) == (expected.id, "header-1")


async def test_message_id_of_the_payload_outranks_the_header(
    engine: AsyncEngine,
) -> None:
    await commit(engine, passing(7, message_id="header-1"))
    await run(engine)

    assert await read(engine, "SELECT message_id FROM events") == [("m7",)]


async def test_invalid_header_stays_invalid(engine: AsyncEngine) -> None:
    # Of the header only the first 255 characters are kept.
    row = rejection(signed_up_with(), message_id="k" * 256, error=KEY)
    await commit(engine, row)

    assert total(await run(engine)) == (0, 0, {"too_long": 1})


async def test_invalid_json_is_replayed_as_sent(
    engine: AsyncEngine,
) -> None:
    odd = {"nan": float("nan"), "half": "\ud800", "nul": "\0", "big": 10**30}
    await commit(engine, rejection(with_properties(signed_up_with(), **odd)))

    assert total(await run(engine)) == (1, 0, {})
    [(nan, half, nul, big, warnings)] = await read(
        engine,
        "SELECT properties->'nan', properties->>'half', properties->>'nul',"
        " properties->>'big', warnings FROM events",
    )
    assert (nan, half, nul, big) == (None, "\ufffd", "\ufffd", str(10**30))
    assert {(w["code"], w["path"]) for w in warnings} == {
        ("non_finite_number", "properties.nan"),
        ("character_replaced", "properties.half"),
        ("character_replaced", "properties.nul"),
    }


async def test_stored_event_leaves_the_quarantine(
    engine: AsyncEngine,
) -> None:
    event = signed_up_with(message_id="m1")
    record = stored(event, request_context=RECEIPT)
    await save(engine, record)
    # The same event for two reasons: the first of the two is none the less one.
    other = Issue("other", "", "Another reason.")
    await commit(engine, passing(1), passing(1, error=other))
    await commit(engine, passing(2), passing(2, error=other))

    assert total(await run(engine)) == (1, 3, {})
    assert await places(engine) == (2, 2, 0)


async def test_conflicting_event_stays_in_quarantine(engine: AsyncEngine) -> None:
    event = signed_up_with(message_id="m1")
    await commit(engine, passing(1))
    await run(engine)
    await commit(engine, rejection(with_properties(event, plan="other")))

    assert total(await run(engine)) == (0, 0, {"id_conflict": 1})
    assert await read(engine, "SELECT reason FROM rejected_events") == [
        ("unknown_event",)
    ]
    assert await read(engine, "SELECT properties ? 'plan' FROM events") == [(False,)]


async def test_replay_removes_an_event_that_was_erased(engine: AsyncEngine) -> None:
    await commit(engine, passing(1))
    await run(engine)
    await read(engine, "DELETE FROM events")
    await read(engine, "UPDATE event_ids SET erased_at = now()")
    await commit(engine, passing(1), passing(2))

    assert total(await run(engine)) == (1, 0, {"erased": 1})
    assert await places(engine) == (1, 2, 0)


async def test_conflicts_and_cut_payloads_are_left_alone(engine: AsyncEngine) -> None:
    conflict = Issue("id_conflict", "", "A conflict.")
    large = signed_up_with(context={"a": "x" * MAX_PAYLOAD})
    await commit(engine, passing(1, error=conflict), rejection(large), passing(2))

    assert total(await run(engine)) == (1, 0, {})
    assert await count(engine) == 2


async def test_event_refused_by_postgres_affects_no_other(engine: AsyncEngine) -> None:
    await read(
        engine,
        "ALTER TABLE events ADD CONSTRAINT no_13 CHECK (message_id <> 'm13')",
    )
    await commit(engine, *(passing(n) for n in range(20)))

    assert total(await run(engine)) == (19, 0, {"unstorable": 1})
    assert await read(engine, "SELECT message_id FROM rejected_events") == [("m13",)]
    assert await places(engine) == (19, 19, 1)


async def test_event_that_still_fails_stays_unchanged_with_all_errors(
    engine: AsyncEngine,
) -> None:
    await commit(engine, rejection({"event": "signed_up"}), passing(1))
    before = await read(
        engine, "SELECT r::text FROM rejected_events r WHERE message_id IS NULL"
    )

    [batch] = await run(engine)

    [failure] = batch.failures
    assert {error.path for error in failure.errors} == {
        "user_id",
        "timestamp",
        "properties",
    }
    assert await read(engine, "SELECT r::text FROM rejected_events r") == before


async def test_payload_of_invalid_json_fails_alone(engine: AsyncEngine) -> None:
    await commit(engine, passing(1), passing(2))
    await read(
        engine, "UPDATE rejected_events SET payload = '{' WHERE message_id = 'm1'"
    )

    assert total(await run(engine)) == (1, 0, {"invalid_json": 1})


@pytest.mark.parametrize(
    ("selection", "moved"),
    [
        (RejectedFilter(), "abcd"),
        (RejectedFilter(reason="other"), "b"),
        (RejectedFilter(event="account_added_user"), ""),
        (RejectedFilter(event="signed_up"), "abcd"),
        (RejectedFilter(source="crm"), "c"),
        (RejectedFilter(since=RECEIVED_AT), "abc"),
        (RejectedFilter(since=RECEIVED_AT + timedelta(microseconds=1)), "a"),
        (RejectedFilter(until=RECEIVED_AT + timedelta(microseconds=1)), "bcd"),
        (RejectedFilter(until=RECEIVED_AT), "d"),
        (
            RejectedFilter(
                reason="unknown_event",
                source="billing",
                until=RECEIVED_AT + timedelta(microseconds=1),
            ),
            "d",
        ),
    ],
)
async def test_only_selected_rows_are_moved_or_deleted(
    engine: AsyncEngine, selection: RejectedFilter, moved: str
) -> None:
    second = timedelta(seconds=1)
    rows: list[tuple[Any, dict[str, Any]]] = [
        (signed_up_with(message_id="a"), {"received_at": RECEIVED_AT + second}),
        (signed_up_with(message_id="b"), {"error": Issue("other", "", "Other.")}),
        (signed_up_with(message_id="c"), {"source": "crm"}),
        (signed_up_with(message_id="d"), {"received_at": RECEIVED_AT - second}),
    ]
    await commit(engine, *(rejection(event, **more) for event, more in rows))

    await run(engine, selection, limit=1)
    found = await read(engine, "SELECT message_id FROM events ORDER BY 1")
    assert "".join(id_ for (id_,) in found) == moved

    await commit(engine, *(rejection(event, **more) for event, more in rows))
    gone: list[int] = []
    await purge(engine, selection, actor="cli:ann", report=gone.append)
    left = await read(engine, "SELECT message_id FROM rejected_events ORDER BY 1")
    assert "".join(id_ for (id_,) in left) == "".join(sorted(set("abcd") - {*moved}))
    assert sum(gone) == len(moved)
    [(purged,)] = await read(
        engine,
        "SELECT coalesce(sum(CAST(details ->> 'events' AS int)), 0) FROM audit_log "
        "WHERE action = 'rejected.purge' AND actor = 'cli:ann'",
    )
    assert purged == sum(gone)

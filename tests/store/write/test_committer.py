"""One event that Postgres refuses never harms its neighbours."""

import json
from collections.abc import Collection

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.pipeline.outcome import Entry, EventStatus, Outcome
from app.pipeline.record import Record
from app.store.tables import events, rejected_events
from app.store.write.insert import CONFLICT, DUPLICATE, STORED
from tests.support.store.entries import (
    commit,
    counts,
    record,
    records,
    rejection,
    rows,
    save,
)
from tests.support.store.sabotage import raising, run, sabotage

# Longer than an index takes, and nothing that compresses well.
POISON = "".join(f"{number:x}" for number in range(4_000))
# Statements that make Postgres refuse an event with the property `poison`.
REFUSALS = {
    "22012": "ALTER TABLE events ADD COLUMN one integer GENERATED ALWAYS AS"
    " (1 / (NOT properties ? 'poison')::integer) STORED",
    "23502": "ALTER TABLE events ADD COLUMN one integer GENERATED ALWAYS AS"
    " (CASE WHEN properties ? 'poison' THEN NULL ELSE 1 END) STORED NOT NULL",
    "23514": "ALTER TABLE events ADD CONSTRAINT no_poison"
    " CHECK (NOT properties ? 'poison')",
    "54000": "CREATE INDEX ON events ((properties ->> 'poison'))",
}
A_CHECK = REFUSALS["23514"]


def poison(user_id: str = "user-1", message_id: str | None = None) -> Record:
    return record(message_id, user_id=user_id, poison=POISON)


async def assert_isolated(
    engine: AsyncEngine, count: int, poisoned: Collection[int]
) -> None:
    """Settle different events, some of them poison, and see what became of them."""
    entries: list[Entry] = [*records(count)]
    for place in poisoned:
        entries[place] = poison(f"user-{place}")

    outcomes = await commit(engine, *entries)

    kept = {str(row.id): row for row in await rows(engine, rejected_events)}
    for place, (entry, outcome) in enumerate(zip(entries, outcomes, strict=True)):
        if place not in poisoned:
            assert outcome == STORED
            continue
        assert outcome is not None
        assert (outcome.status, outcome.kept) == ("rejected", True)
        assert [error.code for error in outcome.errors] == ["unstorable"]
        row = kept.pop(str(outcome.rejection_id))
        assert row.reason == "unstorable"
        assert isinstance(entry, Record)
        assert json.loads(row.payload) == entry.sent
    assert not kept
    stored_users = {row.user_id for row in await rows(engine, events)}
    assert stored_users == {
        f"user-{place}" for place in range(count) if place not in poisoned
    }
    assert await counts(engine) == (*[count - len(poisoned)] * 2, len(poisoned))


@pytest.mark.parametrize("state", REFUSALS)
async def test_each_refusal_of_data_rejects_one_event_and_no_other(
    engine: AsyncEngine, caplog: pytest.LogCaptureFixture, state: str
) -> None:
    await run(engine, REFUSALS[state])
    await assert_isolated(engine, 9, {4})
    [told] = [vars(line)["rollcall_fields"] for line in caplog.records]
    assert told == {"sqlstate": state}


@pytest.mark.parametrize(
    ("count", "poisoned"),
    [
        (1, {0}),
        (2, {1}),
        (9, {0}),
        (9, {8}),
        (9, {3, 4}),
        (9, {0, 5, 8}),
        (5, range(5)),
    ],
)
async def test_wherever_and_however_much_the_poison_is(
    engine: AsyncEngine, count: int, poisoned: Collection[int]
) -> None:
    await run(engine, A_CHECK)
    await assert_isolated(engine, count, poisoned)


async def test_refusal_at_commit_rejects_one_event_and_no_other(
    engine: AsyncEngine,
) -> None:
    await sabotage(
        engine,
        raising("22000"),
        table="event_ids",
        when=f"NEW.id = '{poison('user-2').id}'",
        at_commit=True,
    )
    await assert_isolated(engine, 4, {2})


async def test_refusal_by_the_driver_rejects_one_event_and_no_other(
    engine: AsyncEngine,
) -> None:
    first, second = records(2)
    unsendable = first._replace(user_id="\ud800")

    outcomes = await commit(engine, unsendable, second)

    assert [outcome and outcome.status for outcome in outcomes] == [
        "rejected",
        "stored",
    ]
    assert await counts(engine) == (1, 1, 1)


async def test_poison_beside_every_other_outcome(engine: AsyncEngine) -> None:
    await save(engine, record("old", plan="a"))
    await run(engine, A_CHECK)
    refused = rejection()
    entries: list[Entry] = [
        record("new"),
        record("old", plan="a"),
        refused,
        poison(message_id="new"),
        record("old", plan="b"),
        record("new"),
        poison("user-3"),
        record("new", plan="c"),
    ]

    outcomes = await commit(engine, *entries)

    assert outcomes[:3] == [
        STORED,
        DUPLICATE,
        Outcome(EventStatus.REJECTED, errors=refused.errors),
    ]
    # The id is taken, so that Postgres is not asked to store this one.
    assert outcomes[3:6] == [CONFLICT, CONFLICT, DUPLICATE]
    assert outcomes[6] is not None
    assert [error.code for error in outcomes[6].errors] == ["unstorable"]
    assert outcomes[7] == CONFLICT
    assert await counts(engine) == (2, 2, 5)


async def test_good_event_is_stored_after_a_refused_one_of_its_id(
    engine: AsyncEngine,
) -> None:
    await run(engine, A_CHECK)

    outcomes = await commit(engine, poison(message_id="m"), record("m"))

    assert [outcome and outcome.status for outcome in outcomes] == [
        "rejected",
        "stored",
    ]


async def test_poison_that_is_sent_again_is_rejected_again_and_kept_once(
    engine: AsyncEngine,
) -> None:
    await run(engine, A_CHECK)

    first, second = [await commit(engine, poison()) for _ in range(2)]

    assert first == second
    assert await counts(engine) == (0, 0, 1)


@pytest.mark.parametrize("state", ["22000", "54000"])
async def test_dropped_rejection_is_reported_and_affects_no_other(
    engine: AsyncEngine, state: str
) -> None:
    await run(engine, A_CHECK)
    await sabotage(
        engine,
        raising(state),
        table="rejected_events",
        when="NEW.payload NOT LIKE '%keep%'",
    )
    await save(engine, record("taken", plan="a"))
    lost, kept = rejection(), rejection(keep=True)
    neighbour = record()
    entries: list[Entry] = [
        lost,
        poison("user-2"),
        kept,
        record("taken", plan="b"),
        neighbour,
    ]

    outcomes = await commit(engine, *entries)

    assert outcomes[0] == Outcome(EventStatus.REJECTED, errors=lost.errors, kept=False)
    assert outcomes[2] == Outcome(EventStatus.REJECTED, errors=kept.errors)
    assert outcomes[1] is not None
    assert (outcomes[1].status, outcomes[1].kept) == ("rejected", False)
    assert [error.code for error in outcomes[1].errors] == ["unstorable"]
    assert outcomes[3] == CONFLICT._replace(kept=False)
    assert outcomes[4] == STORED
    assert await counts(engine) == (2, 2, 1)

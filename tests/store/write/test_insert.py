import json
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from app.pipeline.outcome import Entry, EventStatus, Outcome
from app.pipeline.record import RequestContext
from app.store.tables import event_ids, events, rejected_events
from app.store.write.insert import CONFLICT, DUPLICATE, STORED
from tests.support.pipeline.verdicts import (
    added_user_with,
    rejected,
    signed_up_with,
    stored,
    told,
    with_properties,
)
from tests.support.store.entries import counts, record, records, rejection, rows, save

RECEIPT = RequestContext(
    "billing", datetime(2026, 11, 21, 23, 59, 59, 123456, tzinfo=UTC), "request-7"
)
# Its examples share a database, so each has a user of its own.
ON_ONE_DATABASE = settings(
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
    ],
    max_examples=40,
    deadline=None,
)


async def test_new_event_is_stored_and_a_retry_of_it_a_duplicate(
    engine: AsyncEngine,
) -> None:
    assert await save(engine, record("m")) == [STORED]
    assert await save(engine, record("m")) == [DUPLICATE]
    assert await counts(engine) == (1, 1, 0)


async def test_other_content_under_the_same_id_differs_and_the_first_stays(
    engine: AsyncEngine,
) -> None:
    await save(engine, record("m", plan="a"))
    assert await save(engine, record("m", plan="b")) == [CONFLICT]
    [row] = await rows(engine, events)
    assert row.properties["plan"] == "a"
    assert await counts(engine) == (1, 1, 1)


# Each batch is a word, each letter an event of one message id; the case is its content.
@pytest.mark.parametrize(
    ("batches", "outcomes", "quarantined"),
    [
        ("aa", "SD", 0),
        ("aA", "SX", 1),
        ("aAaA", "SXDX", 1),
        ("abAB", "SSXX", 2),
        ("a aa", "S DD", 0),
        ("a Aa", "S XD", 1),
        ("a aA", "S DX", 1),
        ("ab bca BCA", "SS DSD XXX", 3),
    ],
)
async def test_first_arrival_is_stored_and_the_others_answer_from_it(
    engine: AsyncEngine, batches: str, outcomes: str, quarantined: int
) -> None:
    meanings = {"S": STORED, "D": DUPLICATE, "X": CONFLICT}
    for batch, expected in zip(batches.split(), outcomes.split(), strict=True):
        entries = [record(letter.lower(), upper=letter.isupper()) for letter in batch]
        assert await save(engine, *entries) == [meanings[one] for one in expected]

    stored_ids = len(set(batches.lower()) - {" "})
    assert await counts(engine) == (stored_ids, stored_ids, quarantined)


@ON_ONE_DATABASE
@given(
    batches=st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=8),
        max_size=4,
    )
)
async def test_batch_answers_as_its_entries_would_one_at_a_time(
    engine: AsyncEngine, batches: list[list[tuple[str, bool]]]
) -> None:
    user = str(uuid4())
    content: dict[str, bool] = {}
    for batch in batches:
        expected: list[Outcome] = []
        for id_, plan in batch:
            if id_ not in content:
                expected.append(STORED)
            else:
                expected.append(DUPLICATE if content[id_] == plan else CONFLICT)
            content.setdefault(id_, plan)
        entries = [record(id_, user_id=user, plan=plan) for id_, plan in batch]
        assert await save(engine, *entries) == expected


async def test_empty_batch_needs_no_connection(engine: AsyncEngine) -> None:
    assert await save(engine) == []


async def test_outcomes_come_in_the_order_of_the_entries(engine: AsyncEngine) -> None:
    entries: list[Entry] = [*records(30)]
    entries[7], entries[20] = rejection(), record("m")
    await save(engine, record("m"), *records(5))

    outcomes = await save(engine, *entries)

    assert [outcome.status for outcome in outcomes] == [
        *["duplicate"] * 5,
        *["stored", "stored", "rejected"],
        *["stored"] * 12,
        "duplicate",
        *["stored"] * 9,
    ]


async def test_every_field_of_a_full_event_is_in_its_row(engine: AsyncEngine) -> None:
    sent = added_user_with(
        user_id=18446744073709551617,
        message_id="m-1",
        timestamp="20-11-23T22:28:55.1119999+01:00",
        context={"groupId": "g-\u00e9\U0001f600", "ip": None, "big": 2**70},
    )
    sent = with_properties(sent, user_name=None, n=1.5, bad="a\0b", deep=[{"x": [1]}])
    entry = stored(sent, request_context=RECEIPT)._replace(extra='{"plan": 1.50}')
    import_id = UUID(int=7)

    assert await save(engine, entry, import_id=import_id) == [STORED]

    [row] = await rows(engine, events)
    fields = row._asdict()
    stored_at = fields.pop("stored_at")
    warnings = fields.pop("warnings")
    assert fields == {
        "id": UUID(entry.id),
        "source": "billing",
        "event": "account_added_user",
        "user_id": "18446744073709551617",
        "group_id": "g-\u00e9\U0001f600",
        "timestamp": datetime(2020, 11, 23, 21, 28, 55, 111999, tzinfo=UTC),
        "timestamp_raw": "20-11-23T22:28:55.1119999+01:00",
        "received_at": RECEIPT.received_at,
        "message_id": "m-1",
        "properties": {
            "user_name": None,
            "user_email": "mark.wood@example.com",
            "user_role": "Developer",
            "n": 1.5,
            "bad": "a\ufffdb",
            "deep": [{"x": [1]}],
        },
        "context": {"groupId": "g-\u00e9\U0001f600", "ip": None, "big": 2**70},
        "extra": {"plan": 1.5},
        "bucket": 0,
        "import_id": import_id,
    }
    assert abs(stored_at - datetime.now(UTC)) < timedelta(minutes=5)
    assert warnings == [
        warning.as_json()
        for warning in entry.warnings
        if warning.code != "missing_recommended"
    ]
    assert {warning["code"] for warning in warnings} == {
        "coerced_to_text",
        "character_replaced",
        "two_digit_year",
        "precision_cut",
    }


async def test_missing_fields_are_null_or_empty_in_the_row(
    engine: AsyncEngine,
) -> None:
    sent = signed_up_with(properties={"email": "a@b"})
    entry = stored(sent, request_context=RECEIPT)
    assert told(entry.warnings) == {("missing_recommended", "properties.name")}

    await save(engine, entry)

    [row] = await rows(engine, events)
    assert (row.group_id, row.message_id, row.import_id) == (None, None, None)
    assert (row.properties, row.context, row.warnings) == ({"email": "a@b"}, {}, [])
    assert row.extra == {}


async def test_both_rows_of_an_event_hold_the_same_time_and_its_hash(
    engine: AsyncEngine,
) -> None:
    entries = records(3)
    await save(engine, *entries[:1])
    await save(engine, *entries)

    claims = {str(row.id): row for row in await rows(engine, event_ids)}
    stored_at = {str(row.id): row.stored_at for row in await rows(engine, events)}
    assert {id_: row.stored_at for id_, row in claims.items()} == stored_at
    assert {id_: row.content_hash for id_, row in claims.items()} == {
        entry.id: entry.content_hash for entry in entries
    }
    assert len(set(stored_at.values())) == 2


async def test_every_field_of_a_rejected_event_is_in_its_row(
    engine: AsyncEngine,
) -> None:
    sent = signed_up_with(
        event="Signed Up", messageId="m\ud800", timestamp="now", properties={}
    )
    entry = rejected(sent, request_context=RECEIPT)

    [outcome] = await save(engine, entry)

    assert outcome == Outcome(EventStatus.REJECTED, errors=entry.errors)
    [row] = await rows(engine, rejected_events)
    fields = row._asdict()
    payload = fields.pop("payload")
    errors = [(error["code"], error["path"]) for error in fields.pop("errors")]
    warnings = [
        (warning["code"], warning["path"]) for warning in fields.pop("warnings")
    ]
    assert abs(fields.pop("stored_at") - datetime.now(UTC)) < timedelta(minutes=5)
    assert fields == {
        "id": UUID(entry.id),
        "received_at": RECEIPT.received_at,
        "source": "billing",
        "event": "Signed Up",
        "message_id": "m\ufffd",
        "reason": entry.errors[0].code,
        "payload_bytes": len(payload),
        "truncated": False,
        "request_id": "request-7",
        "corrected_at": None,
        "corrected_as": None,
    }
    assert json.loads(payload) == sent
    assert payload.isascii()
    assert set(errors) == told(entry.errors)
    assert len(errors) == 3
    assert warnings == [("event_name_folded", "event")]


async def test_rejected_event_sent_again_adds_no_row(engine: AsyncEngine) -> None:
    later = RECEIPT._replace(received_at=RECEIPT.received_at + timedelta(days=1))
    sent = signed_up_with(timestamp="now")
    first, again = (
        rejected(sent, request_context=RECEIPT),
        rejected(sent, request_context=later),
    )
    other = rejected(with_properties(sent, plan="b"), request_context=later)

    outcomes = [*await save(engine, first, first), *await save(engine, again, other)]

    assert {outcome.status for outcome in outcomes} == {"rejected"}
    times = {
        str(row.id): row.received_at for row in await rows(engine, rejected_events)
    }
    assert times == {first.id: first.received_at, other.id: other.received_at}


async def test_conflict_is_kept_whole_and_once_for_each_content(
    engine: AsyncEngine,
) -> None:
    first, second, third = (record("m", plan=plan) for plan in "abc")
    await save(engine, first)

    assert await save(engine, second, second, third) == [CONFLICT] * 3
    assert await save(engine, second, third) == [CONFLICT] * 2

    kept = await rows(engine, rejected_events)
    assert [(row.reason, row.message_id, row.event) for row in kept] == [
        ("id_conflict", "m", "signed_up")
    ] * 2
    assert [row.errors[0]["code"] for row in kept] == ["id_conflict"] * 2
    assert {json.loads(row.payload)["properties"]["plan"] for row in kept} == {"b", "c"}
    assert {row.request_id for row in kept} == {second.request_id}

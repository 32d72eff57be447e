"""Both ways of an event: the short one makes the record of the other, or none."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from app.events import account_added_user, signed_up
from app.events.catalog import Catalog
from app.pipeline.fields.corrections import Corrections
from app.pipeline.json_decode import decode
from app.pipeline.plain import record_of_plain
from app.pipeline.process import process_event
from app.pipeline.record import BodyTraits, Policy, Record
from app.pipeline.unpack import process_events, unpack
from tests.support.pipeline.json_strategies import (
    canonical_events,
    mutated_events,
    spellings,
)
from tests.support.pipeline.verdicts import (
    POLICY,
    RECEIPT,
    added_user_with,
    signed_up_with,
    with_properties,
    without,
)

LENIENT = replace(
    POLICY,
    catalog=Catalog(
        (signed_up.EVENT_TYPE, account_added_user.EVENT_TYPE), accepts_undeclared=True
    ),
)
TRAITS = BodyTraits(plain=True, deep=True, large=True)
SDK_EVENT: dict[str, Any] = {
    "type": "track",
    "event": "Signed Up",
    "userId": "u1",
    "messageId": "m1",
    "originalTimestamp": "2023-11-02T00:30:08Z",
    "sentAt": "2023-11-02T00:30:09Z",
    "integrations": {},
    "context": {"library": {"name": "analytics"}, "group_id": "g1"},
    "properties": {"email": "a@b", "name": "A"},
}


def short_way(sent: Any, *, policy: Policy = POLICY) -> Record | None:
    return record_of_plain(sent, RECEIPT, policy, TRAITS)


def long_way(sent: Any, *, policy: Policy = POLICY) -> object:
    """The verdict of the other way, which corrections lead to."""
    return process_event(
        sent,
        request_context=RECEIPT,
        policy=policy,
        body=TRAITS,
        corrections=Corrections(),
    )


@given(
    mutated_events() | canonical_events().flatmap(spellings),
    st.sampled_from([POLICY, LENIENT]),
)
@example(SDK_EVENT, LENIENT)
def test_short_way_makes_the_record_of_the_long_way(sent: Any, policy: Policy) -> None:
    decoded = decode(json.dumps(sent).encode(), max_depth=64)
    assume(decoded.plain)
    record = short_way(decoded.value, policy=policy)
    if record is not None:
        # As text, too, because 1 equals 1.0 and true.
        verdict = long_way(decoded.value, policy=policy)
        assert record == verdict
        assert repr(record) == repr(verdict)


@pytest.mark.parametrize(
    "event",
    [
        signed_up_with(),
        added_user_with(),
        signed_up.SAMPLE,
        SDK_EVENT,
        SDK_EVENT | {"originalTimestamp": "23-11-02T00:30:08Z"},
        SDK_EVENT | {"context": {"groupId": "g1"}},
        signed_up_with(event="Signed Up"),
        signed_up_with(event="Order Completed"),
        signed_up_with(event="order_completed"),
        signed_up_with(group_id=None, message_id=None, context=None),
        signed_up_with(timestamp=1_698_885_008.5),
        signed_up_with(context={"group_id": "g", "ip": "::1", "a": [{"b": [1, 1.5]}]}),
        signed_up_with(user_id="user_1", group_id="n", message_id="00"),
        signed_up_with(user_id="\u00fc" * 255, group_id="\U0001f600", message_id='"'),
        signed_up_with(properties={"user_email": "a@b"}),
        added_user_with(properties={"role": "r", "n": 2**64 - 1}, group_id=None),
    ],
)
def test_good_event_takes_the_short_way(event: dict[str, Any]) -> None:
    record = short_way(event, policy=LENIENT)
    assert record is not None
    assert repr(record) == repr(long_way(event, policy=LENIENT))


@pytest.mark.parametrize(
    "event",
    [
        *([], "text", None, 1, {}, {"type": "track"}),
        *(without(signed_up_with(), name) for name in signed_up_with()),
        signed_up_with(plan=None),
        signed_up_with(user_id=1),
        signed_up_with(user_id=""),
        signed_up_with(user_id="undefined"),
        signed_up_with(group_id="null"),
        signed_up_with(message_id="{{ id }}"),
        signed_up_with(userId="other"),
        signed_up_with(message_id=1),
        signed_up_with(properties=[]),
        signed_up_with(properties={"email": "nobody"}),
        signed_up_with(properties={"name": "N", "email": None}),
        signed_up_with(event=["signed_up"]),
        signed_up_with(event="Nothing Known"),
        signed_up_with(context={"groupId": "g"}, group_id="h"),
        signed_up_with(context={"group_id": "g"}, group_id="h"),
        signed_up_with(context={"group_id": "g", "groupId": "h"}),
        signed_up_with(timestamp="yesterday"),
        signed_up_with(timestamp="2099-11-02T00:30:08Z"),
        signed_up_with(timestamp="1999-11-02T00:30:08Z"),
        {**without(signed_up_with(), "event"), "specversion": "1.0"},
    ],
)
def test_unusual_event_is_left_to_the_long_way(event: Any) -> None:
    assert short_way(event) is None


@pytest.mark.parametrize("place", ["properties", "context", "integrations"])
def test_levels_are_limited_alike_on_both_ways(place: str) -> None:
    accepted = 0
    for levels in (1, 20, 61, 62, 63, 64, 65, 66, 300):
        value: Any = 1
        for _ in range(levels):
            value = {"a": value}
        event = signed_up_with(**{place: value})
        if place == "properties":
            event = with_properties(signed_up_with(), a=value)
        record = short_way(event)
        accepted += record is not None
        assert record is None or record == long_way(event)
    assert 2 <= accepted <= 6


@pytest.mark.parametrize("place", ["properties", "context", "integrations"])
def test_bytes_are_limited_alike_on_both_ways(place: str) -> None:
    accepted = 0
    for size in (1, 120_000, *range(130_500, 131_100, 7), 140_000):
        event = signed_up_with(**{place: {"a": "x" * size}})
        if place == "properties":
            event = with_properties(signed_up_with(), a="x" * size)
        record = short_way(event)
        accepted += record is not None
        assert record is None or record == long_way(event)
    assert accepted >= 2


def test_many_flat_events_are_neither_deep_nor_large() -> None:
    body = json.dumps([signed_up_with(user_id=f"u{n}") for n in range(500)]).encode()
    found = unpack(body, policy=POLICY, max_events=500, lenient=False)
    entries = process_events(found, request_context=RECEIPT, policy=POLICY)
    assert [type(entry) for entry in entries] == [Record] * 500


@pytest.mark.parametrize(("levels", "deep"), [(64, False), (65, False), (66, True)])
def test_levels_of_a_binary_cloudevent_are_those_of_its_data(
    levels: int, deep: bool
) -> None:
    found = unpack(
        b"[" * levels + b"]" * levels,
        policy=POLICY,
        max_events=1,
        lenient=False,
        attributes={"specversion": "1.0"},
    )
    assert found.body.deep is deep

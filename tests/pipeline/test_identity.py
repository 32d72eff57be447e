import json
import uuid
from datetime import timedelta
from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.events import account_added_user, signed_up
from app.pipeline.identity import (
    DIGEST_BYTES,
    content_of,
    hash_content,
    identify,
    identify_rejection,
)
from app.pipeline.record import Policy
from app.pipeline.timestamp import TimestampPolicy
from tests.support.json_strategies import canonical_events, json_texts, plain_texts
from tests.support.pipeline import (
    RECEIPT,
    added_user_with,
    judge_array,
    rejected,
    signed_up_with,
    stored,
    with_properties,
)

HEAD = '{"event":"signed_up","user_id":"u","timestamp":"2023-11-02T00:30:08.276Z",'
# Doubles whose shortest form is written in several ways, so that a new version of
# an encoder that writes one of them otherwise is noticed here and not in production.
NUMBERS = '"n":[0.1,1e16,1e-7,5e-324,1.7976931348623157e308,-0.0,1e22,123456789.0]'


def with_p(text: str) -> bytes:
    """A valid event with a property of this JSON."""
    return f'{HEAD}"properties":{{"email":"a@b","p":{text}}}}}'.encode()


@pytest.mark.parametrize(
    ("body", "expected", "content_hash"),
    [
        (
            json.dumps(signed_up.SAMPLE),
            "9093d3ce-1fdc-8ff8-a468-a5b655bb6e18",
            "48db352faac1f965037ebe26bfd3c045",
        ),
        (
            json.dumps(account_added_user.SAMPLE),
            "4c8645b4-c78c-8787-9185-562eb4811bdd",
            "da11a97d9e0a88b39f8e385b4bce8f1c",
        ),
        (
            json.dumps(signed_up.SAMPLE | {"messageId": "m-1"}),
            "f0e23bb1-3212-8c1a-860d-f30a4d812b51",
            "48db352faac1f965037ebe26bfd3c045",
        ),
        (
            f'{HEAD}"properties":{{"email":"é@\U0001f600",{NUMBERS}}}}}',
            "ebdd6fba-5de4-8161-88ce-091a1802efd8",
            "c293c1433dcb639f8af5a96163328b66",
        ),
        (
            f'{HEAD}"properties":{{"email":"a@b","x":[NaN,1e16],{NUMBERS}}}}}',
            "79330619-bb14-8416-93d9-13488e330d3d",
            "7c5198c910e61fefadab0fc102d56f63",
        ),
        (
            f'{HEAD}"properties":{{"email":"a@b","\\u0000":"\\ud800é"}}}}',
            "77e10fac-fbb6-8ddd-82a6-31cb2eea0573",
            "9248850c2bb1656d09ca7649512e28da",
        ),
        (
            f'{HEAD}"groupId":{10**30},"properties":{{"email":"a@b"}}}}',
            "36e86a0d-317f-83ae-9638-fe956e07e391",
            "5981dc74e41dd0ebf7c9db003e14060e",
        ),
    ],
)
def test_ids_and_hashes_never_change(
    body: str, expected: str, content_hash: str
) -> None:
    """They are stored: a change makes every retry across an update a new event."""
    record = stored(body.encode())
    assert (record.id, record.content_hash.hex()) == (expected, content_hash)


def test_the_format_is_spelt_out_once_more() -> None:
    content = (
        b'["signed_up","766b3aef-5904-46fe-af05-a293fee8h345",null,'
        b'"20-11-23T22:28:55.111Z",{"email":"john.doe@example.com",'
        b'"first_name":"John","last_name":"Doe","name":"John Doe"},{}]'
    )
    framed = b"24:rollcall.event.content.115:billing-backend%d:%b"
    digest = blake2b(framed % (len(content), content), digest_size=16).digest()
    value = int.from_bytes(digest) & ~(0xF << 76 | 0b11 << 62) | 8 << 76 | 0b10 << 62
    assert stored(signed_up.SAMPLE).id == str(uuid.UUID(int=value))


def test_ids_of_rejections_never_change() -> None:
    assert (
        rejected(b'{"event":"nope","x":NaN}').id
        == "e5c92bb9-ab59-8b2c-969e-b92d27b2187c"
    )
    assert (
        rejected(b'{"event":"nope","messageId":"m-1"}').id
        == "92515e12-6339-8c69-b91c-8aab284091da"
    )


@given(plain_texts(), plain_texts(), st.none() | plain_texts(), st.binary())
def test_an_id_is_a_uuid_of_version_8(
    source: str, user_id: str, message_id: str | None, content: bytes
) -> None:
    text = identify(source, user_id=user_id, message_id=message_id, content=content)
    made = uuid.UUID(text)
    assert str(made) == text
    assert made.version == 8
    assert made.variant == uuid.RFC_4122


def test_all_other_bits_vary() -> None:
    made = [
        uuid.UUID(identify("s", user_id="u", message_id=None, content=b"%d" % n)).int
        for n in range(200)
    ]
    ones = zeros = 0
    for value in made:
        ones |= value
        zeros |= ~value
    fixed = ~(ones & zeros) & (2**128 - 1)
    assert fixed == 0xF << 76 | 0b11 << 62


SAME = [
    (signed_up_with(), dict(reversed(signed_up_with().items()))),
    (signed_up_with(), signed_up_with(context=None)),
    (signed_up_with(), signed_up_with(context={})),
    (signed_up_with(), signed_up_with(context={"group_id": None})),
    (signed_up_with(), signed_up_with(sentAt="now", type="track", integrations={})),
    (signed_up_with(group_id="g"), signed_up_with(context={"groupId": "g"})),
    (signed_up_with(group_id="g"), signed_up_with(groupId="g", group_id="g")),
    (
        added_user_with(),
        added_user_with(group_id=added_user_with()["context"]["group_id"]),
    ),
    (signed_up_with(), signed_up_with(originalTimestamp="2026-01-01")),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_event_has_the_same_id(one: Any, other: Any) -> None:
    first, second = stored(one), stored(other)
    assert first.id == second.id
    assert first.content_hash == second.content_hash


def test_white_space_escapes_and_repeated_keys_are_no_part_of_it() -> None:
    compact = with_p('{"é":1}')
    assert stored(compact.replace(b",", b" ,\n\t")).id == stored(compact).id
    assert stored(with_p(r'{"\u00e9":1}')).id == stored(compact).id
    assert stored(with_p('{"é":2,"é":1}')).id == stored(compact).id


DIFFERENT = [
    ("1", "1.0"),
    ("1", "true"),
    ("1", '"1"'),
    ("0.0", "-0.0"),
    ("null", "NaN"),
    ("NaN", "Infinity"),
    ("Infinity", "-Infinity"),
    ("NaN", '"NaN"'),
    ("null", '"null"'),
    ("[]", "{}"),
    ("[]", "[[]]"),
    ('["a","b"]', '["a,b"]'),
    ('["a","b"]', '["b","a"]'),
    ('"\\u0000"', '"\ufffd"'),
    ('"\\ud800"', '"\ufffd"'),
    ('"\\ud800"', '"\\udfff"'),
    ('"\\u0000"', '"\\\\u0000"'),
    ('"é"', '"e\u0301"'),
    ("18446744073709551616", "18446744073709551617"),
    ("18446744073709551616", "1.8446744073709552e19"),
    ("1e400", "1e401"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_content_is_another_event(one: str, other: str) -> None:
    verdicts = judge_array(b"[" + with_p(one) + b"," + with_p(other) + b"]")
    assert verdicts[0].id != verdicts[1].id


CHANGES: dict[str, Any] = {
    "event": "Signed Up",
    "user_id": "u",
    "group_id": "g",
    "timestamp": "2023-11-02T00:30:08.2760Z",
    "properties": {"email": "john.doe@example.com"},
    "context": {"ip": "192.0.2.1"},
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_part_of_the_content_counts(name: str) -> None:
    one = stored(signed_up_with())
    other = stored(signed_up_with(**{name: CHANGES[name]}))
    assert one.id != other.id
    assert one.content_hash != other.content_hash


def test_the_type_of_an_id_and_of_a_timestamp_counts() -> None:
    assert (
        stored(signed_up_with(user_id=5)).id != stored(signed_up_with(user_id="5")).id
    )
    whole, double = (
        signed_up_with(timestamp=1.7e9),
        signed_up_with(timestamp=1_700_000_000),
    )
    assert stored(whole).id != stored(double).id
    assert stored(whole).timestamp == stored(double).timestamp


def test_settings_and_receipt_are_no_part_of_it() -> None:
    sent = signed_up.SAMPLE
    later = RECEIPT._replace(
        received_at=RECEIPT.received_at + timedelta(days=9), request_id="other"
    )
    policy = Policy(TimestampPolicy("dmy"), max_event_bytes=1_000, max_depth=3)
    one, other = stored(sent), stored(sent, request_context=later, policy=policy)
    assert one.timestamp != other.timestamp
    assert one.id == other.id
    assert one.content_hash == other.content_hash


@given(canonical_events(), json_texts())
@example(signed_up_with(context={"a": 1e16}), '[NaN,"\\u0000"]')
@example(signed_up_with(context={"a": 2**63}), '"' + "1" * 140_000 + '"')
@example(signed_up_with(properties={"email": "é@b", "a": {}}), "[" * 90 + "]" * 90)
def test_neighbours_are_no_part_of_it(event: dict[str, Any], neighbour: str) -> None:
    """However a body has to be read, the verdict on an event is the same."""
    text = json.dumps(event)
    alone = stored(text.encode())
    beside = judge_array(f"[{neighbour},{text}]".encode())[1]
    assert beside == alone


def test_a_message_id_takes_the_place_of_the_content() -> None:
    one = stored(signed_up_with(message_id="m"))
    other = stored(with_properties(signed_up_with(messageId="m"), name="B"))
    assert one.id == other.id
    assert one.content_hash != other.content_hash
    assert one.id != stored(signed_up_with()).id
    assert one.content_hash == stored(signed_up_with()).content_hash
    assert stored(signed_up_with(), idempotency_key="m").id == one.id


def test_one_message_id_under_two_users_is_two_events() -> None:
    one = stored(signed_up_with(message_id="m", user_id="a"))
    assert one.id != stored(signed_up_with(message_id="m", user_id="b")).id
    assert one.id != stored(signed_up_with(message_id="n", user_id="a")).id


@pytest.mark.parametrize("sent", [signed_up_with(), signed_up_with(message_id="m")])
def test_sources_never_collide(sent: dict[str, Any]) -> None:
    other = RECEIPT._replace(source="crm")
    assert stored(sent).id != stored(sent, request_context=other).id
    assert stored(sent).content_hash == stored(sent, request_context=other).content_hash


PARTS = st.text("a:1", max_size=4)


@given(st.tuples(PARTS, PARTS, PARTS), st.tuples(PARTS, PARTS, PARTS))
@example(("a", "bc", "d"), ("ab", "c", "d"))
@example(("s", "u", "1:a"), ("s", "u1:", "a"))
@example(("s", "", "m"), ("s", "m", ""))
def test_no_part_of_an_id_runs_into_the_next(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    ids = [
        identify(source, user_id=user, message_id=message, content=b"")
        for source, user, message in (one, other)
    ]
    assert (ids[0] == ids[1]) == (one == other)


@given(PARTS, PARTS, PARTS)
def test_neither_form_can_imitate_the_other(source: str, user: str, text: str) -> None:
    by_message = identify(source, user_id=user, message_id=text, content=b"")
    for content in (text, f"{user}{text}", f"{len(user)}:{user}{len(text)}:{text}"):
        by_content = identify(
            source, user_id=user, message_id=None, content=content.encode()
        )
        assert by_content != by_message
        assert by_content.replace("-", "") != hash_content(content.encode()).hex()


def test_a_hash_of_content_has_sixteen_bytes() -> None:
    fields = signed_up_with()
    content = content_of(fields, odd=False)
    assert len(hash_content(content)) == DIGEST_BYTES == 16
    assert hash_content(content) == stored(fields).content_hash
    assert fields == signed_up_with(), "the fields stay untouched"


def test_a_rejection_is_identified_by_source_message_payload_and_reason() -> None:
    parts: dict[str, Any] = {"message_id": "m", "payload": "{}", "reason": "too_long"}
    one = identify_rejection("s", **parts)
    assert one == identify_rejection("s", **parts)
    others = [
        identify_rejection("t", **parts),
        identify_rejection("s", **parts | {"message_id": None}),
        identify_rejection("s", **parts | {"message_id": ""}),
        identify_rejection("s", **parts | {"message_id": "n"}),
        identify_rejection("s", **parts | {"payload": "[]"}),
        identify_rejection("s", **parts | {"reason": "too_short"}),
        identify("s", user_id="m", message_id="{}", content=b"too_long"),
    ]
    assert len({one, *others}) == 8
    assert uuid.UUID(one).version == 8

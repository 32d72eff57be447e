import json
import uuid
from datetime import timedelta
from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.events import account_added_user, signed_up
from app.pipeline.fields.canonical import canonicalise
from app.pipeline.identity import (
    DIGEST_BYTES,
    content_of,
    hash_content,
    identify,
    identify_rejection,
)
from app.pipeline.record import Policy
from app.pipeline.timestamp import TimestampPolicy
from tests.support.pipeline.json_strategies import (
    canonical_events,
    json_texts,
    plain_texts,
)
from tests.support.pipeline.verdicts import (
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


def by_content_of(source: str, content: bytes) -> str:
    return identify(
        source,
        event="e",
        user_id="u",
        group_id=None,
        message_id=None,
        content=content,
    )


def by_message_of(source: str, event: str, user: str, group: str, message: str) -> str:
    return identify(
        source,
        event=event,
        user_id=user,
        group_id=group or None,
        message_id=message,
        content=b"",
    )


@pytest.mark.parametrize(
    ("body", "expected", "content_hash"),
    [
        (
            json.dumps(signed_up.SAMPLE),
            "24c3403c-6151-8ad2-bf61-fa389e45f570",
            "2ae43a41de12c3215c6d171a5bdd6dbc",
        ),
        (
            json.dumps(account_added_user.SAMPLE),
            "3c83616d-f7cb-8bb0-a526-079d3bfc4fde",
            "b0eb2eb089e619ff5054957cb338a8fd",
        ),
        (
            json.dumps(signed_up.SAMPLE | {"messageId": "m-1"}),
            "d41bbde9-c90e-87d5-98ed-2394e8754c0e",
            "2ae43a41de12c3215c6d171a5bdd6dbc",
        ),
        (
            f'{HEAD}"properties":{{"email":"é@\U0001f600",{NUMBERS}}}}}',
            "359acfa8-d21f-8d23-95c4-cd794302aff6",
            "8d8691f0f691a877a59c1ad8c5082352",
        ),
        (
            f'{HEAD}"properties":{{"email":"a@b","x":[NaN,1e16],{NUMBERS}}}}}',
            "557f7934-896a-8e15-80e3-3af6cb680adf",
            "cdd1c8f3e14e9fdd646e25999c45ba73",
        ),
        (
            f'{HEAD}"properties":{{"email":"a@b","\\u0000":"\\ud800é"}}}}',
            "8276a448-5cd0-899b-ad5a-80f629933b35",
            "8a3a590da24bfd8d17237e8971ba9d5a",
        ),
        (
            f'{HEAD}"groupId":{10**30},"properties":{{"email":"a@b"}}}}',
            "fc82b93a-7fb0-8e81-a79f-a6c87bedd5d9",
            "5d5298d60f194ea57dbdd55a38313d50",
        ),
    ],
)
def test_ids_and_hashes_never_change(
    body: str, expected: str, content_hash: str
) -> None:
    """They are stored: a change makes every retry across an update a new event."""
    record = stored(body.encode())
    assert (record.id, record.content_hash.hex()) == (expected, content_hash)


def test_id_matches_an_independent_implementation() -> None:
    content = (
        b'["signed_up","766b3aef-5904-46fe-af05-a293fee8h345",null,'
        b'"20-11-23T22:28:55.111Z",{"email":"john.doe@example.com",'
        b'"first_name":"John","last_name":"Doe","name":"John Doe"},{}]'
    )
    framed = b"24:rollcall.event.content.215:billing-backend%d:%b"
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
def test_id_is_a_uuid_of_version_8(
    source: str, user_id: str, message_id: str | None, content: bytes
) -> None:
    text = identify(
        source,
        event="e",
        user_id=user_id,
        group_id=None,
        message_id=message_id,
        content=content,
    )
    made = uuid.UUID(text)
    assert str(made) == text
    assert made.version == 8
    assert made.variant == uuid.RFC_4122


def test_free_bits_of_an_id_vary() -> None:
    made = [uuid.UUID(by_content_of("s", b"%d" % n)).int for n in range(200)]
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
def test_same_event_has_the_same_id(one: Any, other: Any) -> None:
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
    ("9007199254740992.0", "9007199254740993.0"),
    ("0.1234567890123456789012", "0.1234567890123456789013"),
    ("1e-400", "1e-401"),
    ("0.0", "1e-400"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_content_has_another_id(one: str, other: str) -> None:
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


def test_type_of_an_id_counts() -> None:
    assert (
        stored(signed_up_with(user_id=5)).id != stored(signed_up_with(user_id="5")).id
    )


@pytest.mark.parametrize("other", [1.7e9, "1700000000"])
def test_number_of_another_spelling_is_the_same_timestamp(other: Any) -> None:
    """An export writes all of them as the same `timestamp_raw`."""
    one = stored(signed_up_with(timestamp=1_700_000_000))
    assert stored(signed_up_with(timestamp=other)).id == one.id


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


def test_message_id_replaces_the_content() -> None:
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


def test_one_message_id_for_two_event_names_is_two_events() -> None:
    properties = {"email": "a@b", "user_role": "Developer"}
    same: dict[str, Any] = {"message_id": "m", "group_id": "g"}
    one = stored(signed_up_with(**same, properties=properties))
    other = stored(
        signed_up_with(**same, properties=properties, event="account_added_user")
    )
    assert one.id != other.id
    assert stored(signed_up_with(**same, event="Signed Up")).id == one.id


def test_one_message_id_in_two_accounts_is_two_events() -> None:
    one = stored(signed_up_with(message_id="m", group_id="g1"))
    assert one.id != stored(signed_up_with(message_id="m", group_id="g2")).id
    assert one.id != stored(signed_up_with(message_id="m")).id
    assert (
        one.id == stored(signed_up_with(message_id="m", context={"groupId": "g1"})).id
    )


def test_ids_are_hashed_as_stored_when_there_is_a_message_id() -> None:
    one = stored(signed_up_with(message_id="42", user_id="7", group_id="5"))
    other = stored(signed_up_with(message_id=42, user_id=7, group_id=5))
    assert one.id == other.id


def test_unknown_fields_are_part_of_the_content() -> None:
    one = stored(signed_up_with(plan="a"))
    assert one.id != stored(signed_up_with(plan="b")).id
    assert one.id != stored(signed_up_with()).id
    assert one.id != stored(signed_up_with(tier="a")).id
    assert one.id == stored(signed_up_with(plan="a", sentAt="now", nothing=None)).id


@pytest.mark.parametrize("sent", [signed_up_with(), signed_up_with(message_id="m")])
def test_sources_never_collide(sent: dict[str, Any]) -> None:
    other = RECEIPT._replace(source="crm")
    assert stored(sent).id != stored(sent, request_context=other).id
    assert stored(sent).content_hash == stored(sent, request_context=other).content_hash


PARTS = st.text("a:1", max_size=4)


FIVE_PARTS = st.tuples(PARTS, PARTS, PARTS, PARTS, PARTS)


@given(FIVE_PARTS, FIVE_PARTS)
@example(("a", "bc", "d", "e", "f"), ("ab", "c", "d", "e", "f"))
@example(("s", "e", "u", "1:a", "m"), ("s", "e", "u1:", "a", "m"))
@example(("s", "e", "u", "g", "m"), ("s", "e", "u", "", "gm"))
@example(("s", "e", "u", "", "m"), ("s", "e", "", "u", "m"))
def test_parts_of_an_id_are_delimited(
    one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    assert (by_message_of(*one) == by_message_of(*other)) == (one == other)


@given(PARTS, PARTS, PARTS)
def test_neither_form_can_imitate_the_other(source: str, user: str, text: str) -> None:
    by_message = by_message_of(source, "e", user, "", text)
    for content in (text, f"{user}{text}", f"{len(user)}:{user}{len(text)}:{text}"):
        by_content = by_content_of(source, content.encode())
        assert by_content != by_message
        assert by_content.replace("-", "") != hash_content(content.encode()).hex()


def test_hash_of_content_has_sixteen_bytes() -> None:
    fields = signed_up_with()
    event = canonicalise(fields)
    content = content_of(event.fields, fields["timestamp"])
    assert len(hash_content(content)) == DIGEST_BYTES == 16
    assert hash_content(content) == stored(fields).content_hash
    assert fields == signed_up_with(), "the fields stay untouched"


def test_rejection_is_identified_by_source_message_payload_and_reason() -> None:
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
        by_message_of("s", "m", "{}", "", "too_long"),
    ]
    assert len({one, *others}) == 8
    assert uuid.UUID(one).version == 8


def test_id_of_texts_beyond_ascii_counts_their_bytes() -> None:
    found = by_message_of("shop", "signed_up", "müller", "大", "m-1")
    assert found == "534b33ee-37a4-8a7d-9122-2b5b3bc160fb"

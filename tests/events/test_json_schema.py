import json
from typing import Any

import pytest
from hypothesis import example, given
from jsonschema_rs import Draft202012Validator as Validator
from jsonschema_rs import meta

from app.events import signed_up
from app.events.json_schema import all_schemas, json_schema, track_body_schema
from app.pipeline.record import Record
from app.pipeline.rejection import Rejection
from tests.support.pipeline.json_strategies import (
    canonical_events,
    mutated_events,
    spellings,
)
from tests.support.pipeline.verdicts import (
    CATALOG,
    added_user_with,
    judge_body,
    signed_up_with,
    with_properties,
    without,
)

SAMPLES = {name: event_type.sample for name, event_type in CATALOG.items()}
Validators = dict[str, Validator]
MENDED = {"non_finite_number", "character_replaced", "empty_array_as_object"}
ALIASES = {"event": "event_name", "user_id": "userId", "timestamp": "originalTimestamp"}


def fits(value: Any, schema: dict[str, Any]) -> bool:
    return Validator(schema).is_valid(value)


@pytest.fixture(scope="module")
def validators() -> Validators:
    """One for each event, and one for a body."""
    schemas = all_schemas(CATALOG) | {"body": track_body_schema(CATALOG)}
    return {name: Validator(schema) for name, schema in schemas.items()}


@pytest.fixture(scope="module")
def body(validators: Validators) -> Validator:
    return validators["body"]


def test_each_event_has_a_schema_of_draft_2020_12() -> None:
    assert all_schemas(CATALOG).keys() == CATALOG.keys()
    for event, schema in all_schemas(CATALOG).items():
        assert schema == json_schema(CATALOG[event])
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert schema["title"] == event
        assert schema["examples"] == [SAMPLES[event]]
        assert "$ref" not in json.dumps(schema)
        assert meta.is_valid(schema)


def test_samples_keep_the_order_of_the_documents() -> None:
    for event, sample in SAMPLES.items():
        assert json.dumps(json_schema(CATALOG[event])["examples"]) == json.dumps(
            [sample]
        )


def test_every_field_is_described() -> None:
    for schema in all_schemas(CATALOG).values():
        assert schema["description"]
        for name, field in schema["properties"].items():
            assert field.get("description"), name
        for name, field in schema["properties"]["properties"]["properties"].items():
            assert field.get("description"), name


def test_each_caller_gets_a_copy_of_the_schema() -> None:
    schema = json_schema(CATALOG["signed_up"])
    schema["properties"].clear()
    schema["examples"][0]["event"] = "changed"
    assert json_schema(CATALOG["signed_up"])["properties"]
    assert signed_up.SAMPLE["event"] == "signed_up"


@pytest.mark.parametrize("event", SAMPLES)
def test_sample_fits_in_every_spelling(event: str) -> None:
    sample, schema = SAMPLES[event], json_schema(CATALOG[event])
    assert fits(sample, schema)
    assert fits(sample | {"event": event.replace("_", " ").title()}, schema)
    for name, alias in ALIASES.items():
        renamed = without(sample, name) | {alias: sample[name]}
        assert fits(renamed, schema)
        assert fits(renamed | {name: None}, schema)
        assert not fits(without(sample, name), schema)
        assert not fits(sample | {name: None}, schema)


@pytest.mark.parametrize("name", ["group_id", "groupId"])
@pytest.mark.parametrize("inside", [True, False])
def test_group_fits_in_each_of_its_places(name: str, *, inside: bool) -> None:
    schema = json_schema(CATALOG["account_added_user"])
    sent = added_user_with(context={name: "g"} if inside else None)
    assert fits(sent if inside else sent | {name: 5}, schema)
    nothing = added_user_with(context={name: None} if inside else {})
    assert not fits(nothing, schema)
    assert fits(signed_up_with(context={name: None}), json_schema(CATALOG["signed_up"]))


@given(canonical_events().flatmap(spellings) | mutated_events())
@example(signed_up_with(originalTimestamp={}))
@example(signed_up_with(timestamp=None, originalTimestamp=5))
@example(signed_up_with(context=None, group_id=None, message_id=None))
@example(with_properties(signed_up_with(), email=None, user_email="\ufeff@b"))
@example(with_properties(signed_up_with(), email="\U0001f600" * 252 + "@b"))
@example(signed_up_with(user_id="\U0001f600" * 255, groupId=10**254))
def test_stored_event_fits_the_schema(validators: Validators, event: Any) -> None:
    text = json.dumps(event).encode()
    verdict = judge_body(text)
    # Some events must be corrected first: they are not JSON, or no schema covers them.
    mended = isinstance(verdict, Record) and MENDED & {w.code for w in verdict.warnings}
    if isinstance(verdict, Record) and not mended:
        assert validators[verdict.event].is_valid(event)


BAD: list[Any] = [
    {},
    [],
    "signed_up",
    None,
    signed_up_with(event="nope"),
    signed_up_with(event=5),
    signed_up_with(event="SIGNED_UP"),
    signed_up_with(event_name="nope"),
    signed_up_with(event=None),
    signed_up_with(user_id=""),
    signed_up_with(user_id="x" * 256),
    signed_up_with(user_id=1.5),
    signed_up_with(user_id=True),
    signed_up_with(user_id={}),
    signed_up_with(userId=[]),
    signed_up_with(groupId=""),
    signed_up_with(context={"group_id": ""}),
    signed_up_with(context={"groupId": "x" * 256}),
    signed_up_with(context="text"),
    signed_up_with(timestamp=None),
    signed_up_with(timestamp=True, originalTimestamp="2023-11-02"),
    signed_up_with(timestamp=None, originalTimestamp={}),
    signed_up_with(message_id=1.5),
    signed_up_with(messageId=""),
    signed_up_with(messageId="x" * 256),
    signed_up_with(properties=None),
    signed_up_with(properties=[]),
    signed_up_with(properties={}),
    signed_up_with(properties={"name": "A"}),
    signed_up_with(properties={"email": None, "user_email": None}),
    signed_up_with(properties={"email": "a"}),
    signed_up_with(properties={"email": "a@b@c"}),
    signed_up_with(properties={"email": "a@b "}),
    signed_up_with(properties={"email": "a@b\n"}),
    signed_up_with(properties={"email": "x" * 253 + "@y"}),
    signed_up_with(properties={"user_email": "a"}),
    signed_up_with(properties={"email": "a@b", "user_email": "a"}),
    with_properties(signed_up_with(), name=5),
    with_properties(signed_up_with(), first_name=[]),
    without(added_user_with(), "context"),
    added_user_with(context=None),
    added_user_with(context={"group_id": None}, groupId=None),
    added_user_with(properties={}),
    added_user_with(properties={"user_role": None, "role": None}),
    added_user_with(properties={"role": ""}),
    added_user_with(properties={"user_role": "x" * 256}),
    with_properties(added_user_with(), user_email=5),
]


@pytest.mark.parametrize("sent", BAD)
def test_event_of_a_rejected_shape_does_not_fit_the_schema(
    sent: Any, validators: Validators
) -> None:
    assert isinstance(judge_body(json.dumps(sent).encode()), Rejection)
    assert not any(validator.is_valid(sent) for validator in validators.values())
    body = validators["body"]
    assert not body.is_valid([signed_up_with(), sent])
    assert not body.is_valid({"batch": [sent]})


def test_body_is_an_event_or_several(
    body: Validator,
) -> None:
    both = list(SAMPLES.values())
    for good in (*both, both, both[:1], {"batch": both, "sentAt": 1, "context": {}}):
        assert body.is_valid(good)
    wrong: list[Any] = [[], {"batch": []}, {"batch": both[0]}, {"batch": None}, [both]]
    for bad in (*wrong, {"events": both}, 5, None):
        assert not body.is_valid(bad)


def test_schema_of_a_body_stands_alone() -> None:
    schema = track_body_schema(CATALOG)
    assert schema["examples"] == list(SAMPLES.values())
    assert "$ref" not in json.dumps(schema)
    assert "$schema" not in json.dumps(schema)
    assert meta.is_valid(schema)

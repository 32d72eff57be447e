import json
from decimal import Decimal
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator as Validator

from app.events.declared import declared_event_type
from app.events.json_schema import json_schema
from app.events.property_types import Limits, find_property_type, type_names
from app.pages.event_docs import event_doc
from tests.support.events.declared import declaration_of, policy_with, trial_with
from tests.support.pipeline.verdicts import rejected, stored

LONG = 10**30
CASES: list[tuple[dict[str, Any], list[Any], list[tuple[Any, str]]]] = [
    (
        {"type": "text", "min_length": 2, "max_length": 3},
        ["ab", "äöü"],
        [("a", "too_short"), ("abcd", "too_long"), (1, "invalid_type")],
    ),
    (
        {"type": "email"},
        ["a@b"],
        [("a", "invalid_email"), ("x" * 253 + "@y", "too_long"), ({}, "invalid_type")],
    ),
    (
        {"type": "integer", "minimum": 0, "maximum": LONG},
        [0, 1.0, LONG, -0.0],
        [
            (-1, "value_out_of_range"),
            (LONG + 1, "value_out_of_range"),
            (1.5, "invalid_type"),
            ("1", "invalid_type"),
            (True, "invalid_type"),
        ],
    ),
    (
        {"type": "number", "minimum": -0.5},
        [-0.5, 2, 1e300],
        [(-0.6, "value_out_of_range"), (False, "invalid_type"), ([], "invalid_type")],
    ),
    (
        {"type": "boolean"},
        [True, False],
        [(1, "invalid_type"), ("true", "invalid_type")],
    ),
    (
        {"type": "timestamp"},
        ["2026-03-02T09:30:08Z", "2016-12-31t23:59:60.5z", "2026-03-02 09:30:08+05:30"],
        [
            ("2026-02-30T09:30:08Z", "invalid_timestamp"),
            ("2026-03-02T09:30:08", "invalid_timestamp"),
            ("2026-03-02", "invalid_timestamp"),
            ("٢٠٢٦-03-02T09:30:08Z", "invalid_timestamp"),
            (1772443808, "invalid_type"),
        ],
    ),
    ({"type": "object"}, [{}, {"a": [1]}], [("{}", "invalid_type")]),
    (
        {"type": "enum", "values": ["a", "b"]},
        ["a", "b"],
        [("c", "value_not_allowed"), ("A", "value_not_allowed")],
    ),
    (
        {"type": "list of integer", "min_items": 1, "max_items": 2, "minimum": 1},
        [[1], [1, 2.0]],
        [
            ([], "too_short"),
            ([1, 2, 3], "too_long"),
            ([0], "value_out_of_range"),
            (["1"], "invalid_type"),
            (1, "invalid_type"),
        ],
    ),
    (
        {"type": "list of enum", "values": ["a"]},
        [["a", "a"], []],
        [(["b"], "value_not_allowed")],
    ),
]


@pytest.mark.parametrize(("declared", "good", "bad"), CASES)
def test_each_type_accepts_and_rejects_values(
    declared: dict[str, Any], good: list[Any], bad: list[tuple[Any, str]]
) -> None:
    declaration = declaration_of(p=declared)
    policy = policy_with(declaration)
    validator = Validator(json_schema(declared_event_type(declaration)))

    for value in good:
        event = trial_with({"p": value})
        assert stored(event, policy=policy).event == "trial_started"
        assert validator.is_valid(event), value
    for value, code in bad:
        [error] = rejected(trial_with({"p": value}), policy=policy).errors
        assert error.code == code, value
        assert error.path.startswith("properties.p")
    for value in (None, *good[:1]):
        stored(trial_with({"p": value}), policy=policy)
    stored(trial_with({}), policy=policy)


def test_number_with_many_digits_is_valid_as_decimal() -> None:
    annotation = {"integer": Decimal("1.0"), "number": Decimal("0.1")}
    for name, value in annotation.items():
        declared = declaration_of(p={"type": name})
        validate = policy_with(declared).catalog.validator("trial_started")
        validate(trial_with({"p": value}))
        assert find_property_type(name).annotate(Limits())


def test_error_names_the_item_of_the_list() -> None:
    policy = policy_with(declaration_of(p={"type": "list of text"}))
    errors = rejected(trial_with({"p": ["a", 1, "b", 2]}), policy=policy).errors

    assert [error.path for error in errors] == ["properties.p[1]", "properties.p[3]"]


@pytest.mark.parametrize("name", type_names())
def test_every_type_is_documented_in_words(name: str) -> None:
    declared = {"type": name} | ({"values": ["a"]} if "enum" in name else {})
    [field] = event_doc(declared_event_type(declaration_of(p=declared))).properties

    assert field.kind
    assert field.need == "optional"


def test_required_property_may_have_any_of_its_names() -> None:
    policy = policy_with(
        declaration_of(
            plan={"type": "text", "required": True, "names": ["plan name", "Plan"]},
            seats={"type": "integer", "required": True},
        )
    )
    for name in ("plan", "plan name", "Plan"):
        stored(trial_with({name: "team", "seats": 1}), policy=policy)
    missing = rejected(trial_with({"plan": None}), policy=policy).errors

    assert [(error.code, error.path) for error in missing] == [
        ("missing_field", "properties.plan"),
        ("missing_field", "properties.seats"),
    ]
    assert "`plan name` or `Plan`" in missing[0].message
    wrong = rejected(trial_with({"Plan": 5, "seats": 1}), policy=policy).errors
    assert [error.path for error in wrong] == ["properties.Plan"]


def test_recommended_property_is_documentation_only() -> None:
    declaration = declaration_of(plan={"type": "text", "recommended": True})
    record = stored(trial_with({}), policy=policy_with(declaration))

    assert record.warnings == ()
    doc = event_doc(declared_event_type(declaration))
    assert doc.properties[0].need == "recommended"
    assert "missing_recommended" not in doc.warnings


def test_properties_may_have_names_of_pydantic() -> None:
    names = ["model_config", "copy", "json", "schema", "property_0", "model_fields"]
    properties = {name: {"type": "integer"} for name in names}
    policy = policy_with(declaration_of(**properties))
    event = trial_with(dict.fromkeys(names, 1))

    assert json.loads(stored(event, policy=policy).properties) == event["properties"]
    for name in names:
        [error] = rejected(
            trial_with({**event["properties"], name: "x"}), policy=policy
        ).errors
        assert error.path == f"properties.{name}"

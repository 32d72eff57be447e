import json
from pathlib import Path
from typing import Any

import pytest

from app.declarations.changes import breaking_changes
from app.declarations.sample import sample_errors
from app.declarations.schema_import import ImportedEvent, import_events, snake_case
from app.declarations.toml_file import DeclarationFile, read_declaration
from app.declarations.toml_writer import write_declaration
from app.events.declaration import Declaration
from app.events.json_schema import all_schemas
from tests.support.events.declared import declaration_of
from tests.support.pipeline.verdicts import CATALOG, RECEIPT

SEGMENT = {
    "display_name": "Plan",
    "rules": {
        "events": [
            {
                "name": "Trial Started",
                "description": "A trial's start.",
                "rules": {
                    "$schema": "http://json-schema.org/draft-07/schema#",
                    "type": "object",
                    "properties": {
                        "context": {"type": "object", "required": ["groupId"]},
                        "traits": {},
                        "properties": {
                            "type": "object",
                            "properties": {
                                "plan": {
                                    "type": "string",
                                    "description": 'The "plan".',
                                    "enum": ["team", "it's '''all'''"],
                                },
                                "seats": {"type": ["integer", "null"]},
                                "Start Date": {
                                    "type": "string",
                                    "format": "date-time",
                                },
                                "price": {"type": "number", "exclusiveMinimum": 0},
                                "tags": {
                                    "type": "array",
                                    "items": {"type": "string", "maxLength": 9},
                                    "minItems": 2,
                                },
                                "code": {"type": "string", "pattern": "^x"},
                            },
                            "required": ["plan", "seats"],
                        },
                    },
                },
            },
            {"name": "orderCompleted", "rules": {"properties": {"properties": {}}}},
        ]
    },
}
PROTOCOLS = {
    "data": {
        "trackingPlan": {
            "rules": [
                {
                    "type": "TRACK",
                    "key": "Order Completed",
                    "version": 1,
                    "jsonSchema": SEGMENT["rules"]["events"][0]["rules"],  # type: ignore[index]  # a literal
                },
                {"type": "IDENTIFY", "jsonSchema": {"properties": {}}},
            ]
        }
    }
}


def declared(event: ImportedEvent, tmp_path: Path) -> Declaration:
    """The declaration, by way of the file that would be written."""
    path = tmp_path / "imported.toml"
    path.write_text(write_declaration(event.document), encoding="utf-8")
    read = read_declaration(path)
    assert isinstance(read, DeclarationFile), read
    assert not sample_errors(read.declaration, received_at=RECEIPT.received_at)
    return read.declaration


def test_tracking_plan_becomes_declarations(tmp_path: Path) -> None:
    first, second = import_events(SEGMENT, file_name="plan")
    declaration = declared(first, tmp_path)

    assert declaration.name == "trial_started"
    assert declaration.account_required
    properties = declaration.properties
    assert properties["plan"].values == ["team", "it's '''all'''"]
    assert properties["plan"].required
    assert properties["plan"].description == 'The "plan".'
    assert properties["seats"].type == "integer"
    assert not properties["seats"].required
    assert properties["start_date"].type == "timestamp"
    assert properties["start_date"].names == ["Start Date"]
    assert properties["tags"].type == "list of text"
    assert (properties["tags"].min_items, properties["tags"].max_length) == (2, 9)
    assert first.lost == [
        "seats: `required`, because null counts as absent",
        "price: `exclusiveMinimum`",
        "code: `pattern`",
    ]
    assert second.name == "order_completed"
    assert declared(second, tmp_path).title == "orderCompleted"


def test_plan_of_the_protocols_api_has_track_calls_only() -> None:
    [event] = import_events(PROTOCOLS, file_name="plan")

    assert event.name == "order_completed"


@pytest.mark.parametrize(
    ("schema", "expected", "lost"),
    [
        ({"type": "string", "format": "email"}, {"type": "email"}, 0),
        ({"type": "string", "format": "uri"}, {"type": "text"}, 1),
        ({"const": "a"}, {"type": "enum", "values": ["a"]}, 0),
        ({"enum": ["a", 1]}, None, 1),
        ({"enum": [1, 2], "type": "integer"}, {"type": "integer"}, 1),
        ({"type": "integer", "exclusiveMinimum": 0}, {"minimum": 1}, 0),
        ({"type": "number", "multipleOf": 2}, {"type": "number"}, 1),
        ({"type": "boolean"}, {"type": "boolean"}, 0),
        ({"type": "object", "properties": {"a": {}}}, {"type": "object"}, 1),
        ({"type": "array"}, {"type": "list of text"}, 1),
        ({"type": "array", "items": {"type": "array"}}, {"type": "list of object"}, 1),
        ({"type": "array", "items": {"type": "integer"}, "minimum": 1}, {}, 1),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "text"}, 0),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, None, 1),
        ({"$ref": "#/$defs/size"}, {"type": "integer", "minimum": 2}, 0),
        ({"$ref": "#/definitions/loop"}, None, 1),
        ({"$ref": "https://example.com/schema"}, None, 1),
        ({"$ref": "#/$defs/missing/deeper"}, None, 1),
        (True, None, 1),
        ({}, None, 1),
        ({"not": {}, "type": "string"}, {"type": "text"}, 1),
        ({"type": ["integer", "number"]}, {"type": "number"}, 0),
        ({"type": ["string"], "maxLength": 9}, {"type": "text", "max_length": 9}, 0),
        ({"type": ["string", "boolean"]}, None, 1),
        ({"type": "boolean", "minimum": 1}, {"type": "boolean"}, 1),
        (
            {"type": ["string", "null"], "enum": ["a", None]},
            {"type": "enum", "values": ["a"]},
            0,
        ),
    ],
)
def test_inexpressible_keywords_are_reported(
    schema: Any, expected: dict[str, Any] | None, lost: int, tmp_path: Path
) -> None:
    document = {
        "title": "Trial Started",
        "type": "object",
        "properties": {"p": schema},
        "$defs": {"size": {"type": "integer", "minimum": 2}},
        "definitions": {"loop": {"$ref": "#/definitions/loop"}},
    }
    [event] = import_events(document, file_name="x")
    properties = declared(event, tmp_path).properties

    assert len(event.lost) == lost, event.lost
    if expected is None:
        assert properties == {}
    else:
        dumped = properties["p"].model_dump(exclude_defaults=True)
        assert dumped | expected == dumped


def test_lost_names_and_limits_of_an_event_are_reported(tmp_path: Path) -> None:
    document = {
        "properties": {"2nd": {"type": "string"}, "plan": {"type": "string"}},
        "additionalProperties": False,
    }
    [event] = import_events(document, file_name="trial_started")

    assert list(declared(event, tmp_path).properties) == ["plan"]
    assert event.lost == [
        "2nd: its name",
        "`additionalProperties`: other properties are kept, not rejected",
    ]


def test_schemas_that_the_service_serves_can_be_imported() -> None:
    events = import_events(all_schemas(CATALOG), file_name="schemas")

    assert [event.name for event in events] == [*CATALOG]
    assert set(events[0].document["properties"]) >= {"email", "first_name"}


@pytest.mark.parametrize("document", [None, [], {}, 5, {"a": 1}, {"rules": []}])
def test_other_documents_are_refused(document: Any) -> None:
    with pytest.raises(ValueError, match="neither a JSON Schema"):
        import_events(json.loads(json.dumps(document)), file_name="x")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Order Completed", "order_completed"),
        ("orderCompleted", "order_completed"),
        ("  $order--completed!", "order_completed"),
        ("数", ""),
        ("x" * 100, "x" * 63),
    ],
)
def test_name_becomes_snake_case(text: str, name: str) -> None:
    assert snake_case(text) == name


def test_incompatible_changes_are_found() -> None:
    before = declaration_of(
        plan={"type": "enum", "values": ["a", "b"]}, seats={"type": "integer"}
    )
    after = declaration_of(
        plan={"type": "enum", "values": ["a", "c"]},
        seats={"type": "text", "required": True},
        new={"type": "text", "required": True},
        other={"type": "text"},
    ).model_copy(update={"account_required": True})
    found = [place for place, _ in breaking_changes(before, after)]

    assert found == [
        ("account_required",),
        ("properties", "plan", "values"),
        ("properties", "seats", "type"),
        ("properties", "seats", "required"),
        ("properties", "new", "required"),
    ]
    assert not [*breaking_changes(before, before)]

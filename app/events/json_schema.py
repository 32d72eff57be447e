"""JSON Schema (draft 2020-12) of events, generated from the models that validate them.

The schemas use the field names that senders use. Every stored event fits its schema,
unless it had to be cleaned first (NaN, NUL, lone surrogates). A fitting event can still
be rejected, because a schema cannot express that a timestamp is valid, that two names
of a field have the same value, that the id `1.0` is rejected, or the limits of depth
and size.
"""

from copy import deepcopy
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema
from typing_extensions import override

from app.events.catalog import Catalog
from app.events.envelope import (
    FIELD_NAMES,
    GROUP_NAMES,
    SDK_TIMESTAMP_NAME,
    Envelope,
)
from app.events.event_type import EventType

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
# Without the SDKs' name of the timestamp, whose value may differ from `timestamp`.
NAMES = {**FIELD_NAMES, "timestamp": ("timestamp",)}
_NULL: Schema = {"type": "null"}
_FILLED: Schema = {"not": _NULL}


class _Values(GenerateJsonSchema):
    """Generates the schema of present values; this module adds null and absence."""

    @override
    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    @override
    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    @override
    def sort(self, value: Any, parent_key: str | None = None) -> Any:
        return value

    @override
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema(event_type: EventType) -> Schema:
    """Schema of an accepted event of this type."""
    return {"$schema": _DIALECT, **_event_schema(event_type)}


def all_schemas(catalog: Catalog) -> dict[str, Schema]:
    """The schema of each event, by event name."""
    return {name: json_schema(each) for name, each in catalog.items()}


def track_body_schema(catalog: Catalog) -> Schema:
    """Schema of a request body whose events are all accepted.

    It has no references, so it can be embedded in an OpenAPI 3.1 document.
    """
    events = [_event_schema(event_type) for event_type in catalog.values()]
    several = {"type": "array", "items": {"anyOf": events}, "minItems": 1}
    return {
        "description": "One event, an array of events, or an object with a `batch`.",
        "anyOf": [
            *events,
            several,
            {"type": "object", "properties": {"batch": several}, "required": ["batch"]},
        ],
        "examples": [example for event in events for example in event["examples"]],
    }


def _event_schema(event_type: EventType) -> Schema:
    made = event_type.model.model_json_schema(schema_generator=_Values)
    defs = made.pop("$defs", {})
    values = {name: _inlined(value, defs) for name, value in made["properties"].items()}
    values["event"] = {
        "enum": [event_type.name, event_type.title],
        "description": Envelope.model_fields["event"].description,
    }
    _complete(values["properties"], event_type.require_one_of)
    values["context"]["properties"] = {
        name: _alias("group_id", _or_null(values["group_id"])) for name in GROUP_NAMES
    }
    places = {name: _places(name, values[name]) for name in made.pop("required")}
    sole = [name for name, where in places.items() if len(where) == 1]
    properties: Schema = {}
    for canonical, value in values.items():
        first, *others = NAMES[canonical]
        properties[first] = value if canonical in sole else _or_null(value)
        for name in others:
            properties[name] = _alias(canonical, properties[first])
    properties[SDK_TIMESTAMP_NAME] = {
        "description": "Used where `timestamp` is absent."
    }
    return {
        **made,
        "title": event_type.name,
        "properties": properties,
        "required": sole,
        "allOf": [{"anyOf": where} for where in places.values() if len(where) > 1],
        "additionalProperties": True,
        "examples": [deepcopy(event_type.sample)],
    }


def _places(canonical: str, value: Schema) -> list[Schema]:
    """One schema for each place where a required field is accepted."""
    places = [_with(name, _FILLED) for name in NAMES[canonical]]
    if canonical == "group_id":
        places += [
            _with("context", {"type": "object", **_with(name, _FILLED)})
            for name in GROUP_NAMES
        ]
    if canonical == "timestamp":
        places.append(_with(SDK_TIMESTAMP_NAME, value))
    return places


def _complete(properties: Schema, groups: tuple[tuple[str, ...], ...]) -> None:
    """Allow null for optional properties; require one property of each group."""
    required = properties.get("required", ())
    for name, value in properties["properties"].items():
        if name not in required:
            properties["properties"][name] = _or_null(value)
    choices = [{"anyOf": [_with(name, _FILLED) for name in names]} for names in groups]
    match choices:
        case []:
            pass
        case [only]:
            properties |= only
        case _:
            properties["allOf"] = choices


def _with(name: str, value: Schema) -> Schema:
    return {"properties": {name: value}, "required": [name]}


def _or_null(value: Schema) -> Schema:
    described = {"description"} & value.keys()
    rest = {key: inner for key, inner in value.items() if key not in described}
    choices = rest["anyOf"] if rest.keys() == {"anyOf"} else [rest]
    return {"anyOf": [*choices, _NULL], **{key: value[key] for key in described}}


def _alias(canonical: str, value: Schema) -> Schema:
    return {**value, "description": f"Read as `{canonical}`."}


def _inlined(value: Any, defs: Schema) -> Any:
    """The schema with each reference replaced by its target."""
    if isinstance(value, list):
        return [_inlined(inner, defs) for inner in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        named = defs[value["$ref"].removeprefix("#/$defs/")]
        value = {**named, **{k: v for k, v in value.items() if k != "$ref"}}
    return {key: _inlined(inner, defs) for key, inner in value.items()}

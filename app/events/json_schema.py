"""JSON Schema (draft 2020-12) of what is accepted, made from the models that validate.

Told in the sender's names. What Rollcall stores fits the schema, unless it had to be
repaired first (NaN, NUL, lone surrogates). Not all that fits is stored, as a schema
cannot say: that a timestamp is one, that two names of a field agree, that `1.0` is
no integer, how deep and how large an event may be.
"""

from copy import deepcopy
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema
from typing_extensions import override

from app.events.catalog import CATALOG, TITLES
from app.events.envelope import (
    EVENT_NAMES,
    GROUP_NAMES,
    MESSAGE_NAMES,
    SDK_TIMESTAMP_NAMES,
    TIMESTAMP_NAMES,
    USER_NAMES,
    Envelope,
)

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
# Under each canonical name, the names that are read at the top of an event.
NAMES = {
    "event": EVENT_NAMES,
    "user_id": USER_NAMES,
    "group_id": GROUP_NAMES,
    "timestamp": TIMESTAMP_NAMES,
    "message_id": MESSAGE_NAMES,
}
_NULL: Schema = {"type": "null"}
_FILLED: Schema = {"not": _NULL}


class _Values(GenerateJsonSchema):
    """The schema of each value that is there; absence is told by this module."""

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


def json_schema(event: str) -> Schema:
    """What one event of this name looks like when it is accepted.

    Raises:
        KeyError: no event has this name.
    """
    return {"$schema": _DIALECT, **_event_schema(event)}


def all_schemas() -> dict[str, Schema]:
    """The schema of each event, under its name."""
    return {event: json_schema(event) for event in CATALOG}


def track_body_schema() -> Schema:
    """What a body looks like, all of whose events are accepted.

    Self-contained: it can be put into an OpenAPI 3.1 document as it is.
    """
    events = [_event_schema(event) for event in CATALOG]
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


def _event_schema(event: str) -> Schema:
    kind = CATALOG[event]
    # Copied, because its examples are the constants themselves.
    made = deepcopy(kind.model.model_json_schema(schema_generator=_Values))
    defs = made.pop("$defs", {})
    values = {name: _inlined(value, defs) for name, value in made["properties"].items()}
    titles = [title for title, name in TITLES.items() if name == event]
    described = Envelope.model_fields["event"].description
    values["event"] = {"enum": [event, *titles], "description": described}
    _complete(values["properties"], kind.one_of)
    values["context"]["properties"] = {
        name: _alias("group_id", _or_null(values["group_id"])) for name in GROUP_NAMES
    }
    places = {name: _places(name, values[name]) for name in made.pop("required")}
    sole = [name for name, where in places.items() if len(where) == 1]
    properties: Schema = {}
    for canonical, value in values.items():
        first, *others = NAMES.get(canonical, (canonical,))
        properties[first] = value if canonical in sole else _or_null(value)
        for name in others:
            properties[name] = _alias(canonical, properties[first])
    for name in SDK_TIMESTAMP_NAMES:
        properties[name] = {"description": "Read where `timestamp` is absent."}
    return {
        **made,
        "title": event,
        "properties": properties,
        "required": sole,
        "allOf": [{"anyOf": where} for where in places.values() if len(where) > 1],
        "additionalProperties": True,
    }


def _places(canonical: str, value: Schema) -> list[Schema]:
    """Where a required field may stand, one schema for each place."""
    places = [_with(name, _FILLED) for name in NAMES.get(canonical, (canonical,))]
    if canonical == "group_id":
        places += [
            _with("context", {"type": "object", **_with(name, _FILLED)})
            for name in GROUP_NAMES
        ]
    if canonical == "timestamp":
        places += [_with(name, value) for name in SDK_TIMESTAMP_NAMES]
    return places


def _complete(properties: Schema, one_of: tuple[str, ...]) -> None:
    """Let optional properties be null, and demand one of those that can stand in."""
    required = properties.get("required", ())
    for name, value in properties["properties"].items():
        if name not in required:
            properties["properties"][name] = _or_null(value)
    if one_of:
        properties["anyOf"] = [_with(name, _FILLED) for name in one_of]


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
    """The schema with each reference replaced by what it names."""
    if isinstance(value, list):
        return [_inlined(inner, defs) for inner in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        named = defs[value["$ref"].removeprefix("#/$defs/")]
        value = {**named, **{k: v for k, v in value.items() if k != "$ref"}}
    return {key: _inlined(inner, defs) for key, inner in value.items()}

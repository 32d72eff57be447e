"""What a person is told of an event, made from the models that validate it.

Nothing is written here twice: names, types, limits and texts are those of the models,
the explanations those of `app.pipeline.codes`.
"""

from typing import Any, NamedTuple

from app.events.catalog import CATALOG, Kind
from app.events.envelope import GROUP_NAMES, SDK_TIMESTAMP_NAMES
from app.events.json_schema import NAMES, json_schema
from app.pipeline.codes import ERRORS, WARNINGS, Explanation

Schema = dict[str, Any]

_KINDS = {
    "string": "text",
    "object": "object",
    "integer": "integer",
    "number": "number",
}
# Where a field is read beside the names that it has at the top of an event.
_BEFORE = {"group_id": tuple(f"context.{name}" for name in GROUP_NAMES)}
_AFTER = {"timestamp": SDK_TIMESTAMP_NAMES}


class Told(NamedTuple):
    """One parameter or property.

    Attributes:
        names: as they are accepted, the one to use first.
        kind: the type with its limits, or the values between backticks.
        need: `required`, `recommended` or `optional`.
        description: a sentence or two, with code between backticks.
    """

    names: tuple[str, ...]
    kind: str
    need: str
    description: str


class Manual(NamedTuple):
    """One event.

    Attributes:
        name: as it is sent.
        purpose: what it is for, by paragraphs.
        parameters: what stands around the properties.
        properties: what it says.
        sample: the documented one.
        errors: that can reject it, by code.
        warnings: that can come with it, by code.
    """

    name: str
    purpose: list[str]
    parameters: list[Told]
    properties: list[Told]
    sample: dict[str, Any]
    errors: dict[str, Explanation]
    warnings: dict[str, Explanation]


def manual(event: str) -> Manual:
    """What is told of one event.

    Raises:
        KeyError: no event has this name.
    """
    kind = CATALOG[event]
    schema = json_schema(event)
    values = schema["properties"]["properties"]["properties"]
    no_pattern = not any("pattern" in text for v in values.values() for text in _of(v))
    unheard = {
        *(["invalid_email"] if no_pattern else ()),
        *(["missing_recommended"] if not kind.recommended else ()),
    }
    return Manual(
        event,
        [" ".join(part.split()) for part in schema["description"].split("\n\n")],
        [
            _parameter(name, kind, schema["properties"])
            for name in kind.model.model_fields
        ],
        _properties(kind, values),
        schema["examples"][0],
        {code: told for code, told in ERRORS.items() if code not in unheard},
        {code: told for code, told in WARNINGS.items() if code not in unheard},
    )


def _parameter(canonical: str, kind: Kind, values: Schema) -> Told:
    names = NAMES.get(canonical, (canonical,))
    value = values[names[0]]
    required = kind.model.model_fields[canonical].is_required()
    return Told(
        (*_BEFORE.get(canonical, ()), *names, *_AFTER.get(canonical, ())),
        _kind(value),
        "required" if required else "optional",
        value["description"],
    )


def _properties(kind: Kind, values: Schema) -> list[Told]:
    told = []
    for name, value in values.items():
        names: tuple[str, ...] = (name,)
        need = "recommended" if name in kind.recommended else "optional"
        if name in kind.one_of:
            if name != kind.one_of[0]:
                continue  # told beside the one that it stands in for
            names, need = kind.one_of, "required"
        told.append(Told(names, _kind(value), need, value["description"]))
    return told


def _of(value: Schema) -> list[Schema]:
    """What a value may be, but for null."""
    if "type" in value:
        return [value]
    return [one for one in value.get("anyOf", [value]) if one.get("type") != "null"]


def _kind(value: Schema) -> str:
    kinds = dict.fromkeys(map(_one_kind, _of(value)))
    if "integer" in kinds and "number" in kinds:
        del kinds["integer"]
    return ", or ".join(kinds)


def _one_kind(value: Schema) -> str:
    if "enum" in value:
        return " or ".join(f"`{name}`" for name in value["enum"])
    kind = _KINDS[value["type"]]
    shortest, longest = value.get("minLength"), value.get("maxLength")
    match shortest, longest:
        case None, None:
            return kind
        case None, _:
            return f"{kind} of at most {longest} characters"
        case _:
            return f"{kind} of {shortest} to {longest} characters"

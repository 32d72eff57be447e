"""Documentation of an event, generated from its event type.

Names, types, limits and texts come from the models; explanations of codes come from
`app.pipeline.codes`.
"""

from typing import Any, NamedTuple

from app.events.catalog import Catalog
from app.events.envelope import GROUP_NAMES, SDK_TIMESTAMP_NAME
from app.events.event_type import EventType
from app.events.json_schema import NAMES, Schema, json_schema
from app.pipeline.codes import ERROR_TEXTS, WARNING_TEXTS, Explanation
from app.pipeline.issues import ErrorCode, WarningCode

# Places of a field apart from the names at the top of an event, in reading order.
_BEFORE = {"group_id": tuple(f"context.{name}" for name in GROUP_NAMES)}
_AFTER = {"timestamp": (SDK_TIMESTAMP_NAME,)}


class FieldDoc(NamedTuple):
    """Documentation of one parameter or property.

    Attributes:
        names: accepted names, the preferred one first.
        kind: the type with its limits, or the allowed values between backticks.
        need: `required`, `recommended` or `optional`.
        description: a sentence or two, with code between backticks.
    """

    names: tuple[str, ...]
    kind: str
    need: str
    description: str


class EventDoc(NamedTuple):
    """Documentation of one event.

    Attributes:
        purpose: description, one item for each paragraph.
        parameters: fields of the envelope.
        properties: fields of `properties`.
        message_id: how to build the message id, with names of fields in braces.
        errors: errors that can reject the event, by code.
        warnings: warnings that the event can get, by code.
    """

    name: str
    purpose: list[str]
    parameters: list[FieldDoc]
    properties: list[FieldDoc]
    sample: dict[str, Any]
    message_id: str | None
    errors: dict[str, Explanation]
    warnings: dict[str, Explanation]


def event_summaries(catalog: Catalog) -> list[tuple[str, str, list[str]]]:
    """Name, first paragraph and preferred names of the properties of each event.

    The models of declared events are not needed for it.
    """
    summaries = []
    for name in catalog:
        declared = catalog.declarations.get(name)
        if declared is None:
            doc = event_doc(catalog[name])
            purpose, names = doc.purpose, [each.names[0] for each in doc.properties]
        else:
            purpose, names = _paragraphs(declared.description), [*declared.properties]
        summaries.append((name, purpose[0], names))
    return summaries


def event_doc(event_type: EventType) -> EventDoc:
    """Generate the documentation of one event."""
    schema = json_schema(event_type)
    values = schema["properties"]["properties"]["properties"]
    keywords = {
        keyword
        for value in values.values()
        for each in _of(value)
        for keyword in (*each, *each.get("items", ()))
    }
    warns = event_type.recommended and event_type.warns_about_missing
    excluded_codes = {
        *([ErrorCode.INVALID_EMAIL] if "pattern" not in keywords else ()),
        *([ErrorCode.VALUE_NOT_ALLOWED] if "enum" not in keywords else ()),
        *(
            [ErrorCode.VALUE_OUT_OF_RANGE]
            if not keywords & {"minimum", "maximum"}
            else ()
        ),
        *([WarningCode.MISSING_RECOMMENDED] if not warns else ()),
        WarningCode.UNDECLARED_EVENT,
    }
    return EventDoc(
        event_type.name,
        _paragraphs(schema["description"]),
        [
            _parameter(name, event_type, schema["properties"])
            for name in event_type.model.model_fields
        ],
        _properties(event_type, values),
        schema["examples"][0],
        event_type.message_id,
        {
            code: text
            for code, text in ERROR_TEXTS.items()
            if code not in excluded_codes
        },
        {
            code: text
            for code, text in WARNING_TEXTS.items()
            if code not in excluded_codes
        },
    )


def _paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in text.strip().split("\n\n")]


def _parameter(canonical: str, event_type: EventType, values: Schema) -> FieldDoc:
    names = NAMES[canonical]
    value = values[names[0]]
    required = event_type.model.model_fields[canonical].is_required()
    return FieldDoc(
        (*_BEFORE.get(canonical, ()), *names, *_AFTER.get(canonical, ())),
        _type_text(value),
        "required" if required else "optional",
        value["description"],
    )


def _properties(event_type: EventType, values: Schema) -> list[FieldDoc]:
    required = {names[0] for names in event_type.require_one_of}
    groups = {
        name: names
        for names in (*event_type.synonyms, *event_type.require_one_of)
        for name in names
    }
    docs = []
    for name, value in values.items():
        names = groups.get(name, (name,))
        if name != names[0]:
            continue  # documented with the preferred name of the group
        need = "recommended" if name in event_type.recommended else "optional"
        if name in required:
            need = "required"
        docs.append(FieldDoc(names, _type_text(value), need, value["description"]))
    return docs


def _of(value: Schema) -> list[Schema]:
    """The alternatives of a value's schema without null."""
    if "type" in value:
        return [value]
    return [one for one in value.get("anyOf", [value]) if one.get("type") != "null"]


def _type_text(value: Schema) -> str:
    texts = dict.fromkeys(map(_single_type_text, _of(value)))
    if "integer" in texts and "number" in texts:
        del texts["integer"]
    return ", or ".join(texts)


def _single_type_text(value: Schema) -> str:
    if "enum" in value:
        return " or ".join(f"`{name}`" for name in value["enum"])
    if value["type"] == "array":
        return f"list of {_single_type_text(value['items'])}"
    if value.get("format") == "date-time":
        return "timestamp of RFC 3339"
    kind: str = value["type"].replace("string", "text")
    shortest, longest = value.get("minLength"), value.get("maxLength")
    match shortest, longest:
        case None, None:
            return kind
        case None, _:
            length = f"at most {longest}"
        case _, None:
            length = f"at least {shortest}"
        case _:
            length = f"{shortest} to {longest}"
    return f"{kind} of {length} characters"

"""Declarations made from a JSON Schema or from a Segment tracking plan."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from app.declarations.property_import import import_property
from app.events.event_type import title_of
from app.events.property_types import LIST_PREFIX

_MAX_NAME = 63
_INSTANT = "2026-03-02T09:30:08.276Z"
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_OTHER = re.compile(r"[^a-z0-9]+")
_PLAIN = re.compile(rf"[A-Za-z][A-Za-z0-9_]{{0,{_MAX_NAME - 1}}}")
_SAMPLES: dict[str, Any] = {
    "email": "john.doe@example.com",
    "boolean": True,
    "timestamp": _INSTANT,
    "object": {},
}


class ImportedEvent(NamedTuple):
    """A declaration that was made from another format.

    Attributes:
        document: keys of `Declaration`.
        lost: constraints that the declaration does not express, with their place.
    """

    name: str
    document: dict[str, Any]
    lost: list[str]


def import_events(document: Any, *, file_name: str) -> list[ImportedEvent]:
    """Make declarations from a decoded JSON document.

    Args:
        document: a JSON Schema of an event or of its properties, an object of such
            schemas by event name, or a tracking plan of Segment.
        file_name: names the event of a schema that has no title.

    Raises:
        ValueError: the document has another form.
    """
    events = [*_plan_events(document)] or [*_schema_events(document, file_name)]
    if not events:
        raise ValueError(
            "This is neither a JSON Schema of an object nor a tracking plan of Segment."
        )
    return [_import(*event) for event in events]


def snake_case(text: str) -> str:
    """A name in snake_case: `Order Completed` and `orderCompleted` alike."""
    name = _OTHER.sub("_", _WORD_START.sub("_", text).lower()).strip("_")
    return name[:_MAX_NAME].rstrip("_")


def _plan_events(document: Any) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    """Name, description and schema of each `track` call of a tracking plan."""
    for rule in _rules(document):
        if not isinstance(rule, Mapping):
            continue
        schema = rule.get("jsonSchema", rule.get("rules"))
        name = rule.get("key", rule.get("name"))
        is_track = str(rule.get("type", "TRACK")).upper() == "TRACK"
        if is_track and isinstance(schema, Mapping) and isinstance(name, str):
            description = rule.get("description") or schema.get("description")
            yield name, description, schema


def _rules(document: Any) -> list[Any]:
    for path in (
        ("rules",),
        ("rules", "events"),
        ("data", "rules"),
        ("data", "trackingPlan", "rules"),
        ("events",),
    ):
        found = _look_up(document, *path)
        if isinstance(found, list):
            return found
    return []


def _schema_events(
    document: Any, file_name: str
) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    """The same of a JSON Schema of one event, or of an object of such schemas."""
    if not isinstance(document, Mapping):
        return
    if "properties" in document or document.get("type") == "object":
        title = document.get("title") or file_name
        yield str(title), document.get("description"), document
    elif None not in [_look_up(each, "properties") for each in document.values()]:
        for name, schema in document.items():
            yield name, schema.get("description"), schema


def _look_up(document: Any, *path: str) -> Any:
    """The value at a path of a document; None if the path leads nowhere."""
    for step in path:
        document = document.get(step) if isinstance(document, Mapping) else None
    return document


def _import(title: str, description: Any, schema: Mapping[str, Any]) -> ImportedEvent:
    name = snake_case(title)
    properties, account_required = _properties_of(schema)
    lost: list[str] = []
    declared = _import_properties(properties, schema, lost)
    document: dict[str, Any] = {"name": name}
    if title not in {name, title_of(name)}:
        document["title"] = title[:100]
    text = str(description or "").strip() or f"The event {title}."
    document["description"] = text[:4000]
    if account_required:
        document["account_required"] = True
    document["sample"] = json.dumps(
        _sample(name, declared, account_required=account_required),
        indent=2,
        ensure_ascii=False,
    )
    document["properties"] = declared
    if properties.get("additionalProperties") is False:
        lost.append("`additionalProperties`: other properties are kept, not rejected")
    return ImportedEvent(name, document, lost)


def _properties_of(schema: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """The schema of the properties, and whether an account is required."""
    inner = _look_up(schema, "properties", "properties")
    if not isinstance(inner, Mapping) or not {"properties", "type"} & {*inner}:
        return schema, False
    required = {
        *schema.get("required", ()),
        *(_look_up(schema, "properties", "context", "required") or ()),
    }
    return inner, not required.isdisjoint({"group_id", "groupId"})


def _import_properties(
    schema: Mapping[str, Any], root: Mapping[str, Any], lost: list[str]
) -> dict[str, dict[str, Any]]:
    declared: dict[str, dict[str, Any]] = {}
    required = schema.get("required", ())
    properties = schema.get("properties", {})
    if not isinstance(properties, Mapping):
        return declared
    for sent, property_schema in properties.items():
        name = sent if _PLAIN.fullmatch(sent) else snake_case(sent)
        if not name or not name[0].isalpha() or name in declared:
            lost.append(f"{sent}: its name")
            continue
        found = import_property(property_schema, root)
        lost += [f"{sent}: {what}" for what in found.lost]
        if found.document is None:
            continue
        document = {
            "type": found.document["type"],
            "description": _description(property_schema) or f"The property {sent}.",
        }
        if sent in required and not found.nullable:
            document["required"] = True
        elif sent in required:
            lost.append(f"{sent}: `required`, because null counts as absent")
        if name != sent:
            document["names"] = [sent]
        declared[name] = {**document, **found.document}
    return declared


def _description(schema: Any) -> str:
    text = schema.get("description") if isinstance(schema, Mapping) else None
    return str(text or "").strip()[:4000]


def _sample(
    name: str, properties: dict[str, dict[str, Any]], *, account_required: bool
) -> dict[str, Any]:
    sample: dict[str, Any] = {
        "event": name,
        "user_id": "user_1",
        "timestamp": _INSTANT,
        "message_id": f"{name}:user_1:{_INSTANT}",
        "properties": {
            key: _sample_value(key, declared) for key, declared in properties.items()
        },
    }
    if account_required:
        sample["context"] = {"group_id": "account_1"}
    return sample


def _sample_value(name: str, declared: dict[str, Any]) -> Any:
    kind = declared["type"]
    if kind.startswith(LIST_PREFIX):
        item = {**declared, "type": kind.removeprefix(LIST_PREFIX)}
        return [_sample_value(name, item)] * max(1, declared.get("min_items", 1))
    if kind == "enum":
        return declared["values"][0]
    if kind in {"integer", "number"}:
        return declared.get("minimum", min(1, declared.get("maximum", 1)))
    if kind == "text":
        text = name.ljust(declared.get("min_length", 0), "x")
        return text[: declared.get("max_length", len(text))]
    return _SAMPLES[kind]

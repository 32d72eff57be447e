"""One property of a JSON Schema (draft 7 or 2020-12) as a declared property."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from app.events.property_types import LIST_PREFIX, find_property_type

SchemaMapping = Mapping[str, Any]

# Keywords that are expressed, or that say nothing about which values are valid.
_KNOWN = frozenset(
    {
        "$comment", "$defs", "$id", "$schema", "default", "definitions", "deprecated",
        "description", "enum", "const", "examples", "example", "exclusiveMaximum",
        "exclusiveMinimum", "format", "id", "items", "maxItems", "maxLength",
        "maximum", "minItems", "minLength", "minimum", "readOnly", "title", "type",
        "writeOnly",
    }
)  # fmt: skip
# Limit of each keyword, and the step from an exclusive to an inclusive integer.
_LIMITS = {
    "minLength": ("min_length", 0),
    "maxLength": ("max_length", 0),
    "minimum": ("minimum", 0),
    "maximum": ("maximum", 0),
    "exclusiveMinimum": ("minimum", 1),
    "exclusiveMaximum": ("maximum", -1),
    "minItems": ("min_items", 0),
    "maxItems": ("max_items", 0),
}
_LIST_LIMITS = frozenset({"min_items", "max_items"})
_TYPES = ("integer", "number", "boolean", "object", "array")
_FORMATS = {"email": "email", "idn-email": "email", "date-time": "timestamp"}
_MAX_REFERENCES = 20


class ImportedProperty(NamedTuple):
    """A declared property, as far as it can express a schema.

    Attributes:
        document: keys of `DeclaredProperty`; None where no type fits.
        nullable: whether null is a valid value.
        lost: constraints that the declaration does not express.
    """

    document: dict[str, Any] | None
    nullable: bool
    lost: list[str]


def import_property(schema: Any, root: SchemaMapping) -> ImportedProperty:
    """Express the schema of a property; `root` holds the targets of references."""
    lost: list[str] = []
    resolved = _resolve(schema, root, lost)
    if resolved is None:
        return ImportedProperty(None, nullable=False, lost=lost)
    resolved, nullable = _without_null(resolved, root, lost)
    kind = _type_of(resolved, lost)
    if kind is None:
        return ImportedProperty(None, nullable=nullable, lost=lost)
    document: dict[str, Any] = {"type": kind}
    if kind == "array":
        document = _list_of(resolved, root, lost)
    if kind == "enum":
        document["values"] = list(dict.fromkeys(_enum_of(resolved) or ()))
    else:
        _import_limits(document, resolved, lost)
        lost += [f"`{name}`" for name in ("enum", "const") if name in resolved]
    lost += [f"`{name}`" for name in resolved if name not in _KNOWN]
    return ImportedProperty(document, nullable=nullable, lost=lost)


def _list_of(
    schema: SchemaMapping, root: SchemaMapping, lost: list[str]
) -> dict[str, Any]:
    item = import_property(schema.get("items", {}), root)
    if item.document is None or item.document["type"].startswith(LIST_PREFIX):
        lost.append("the type of the items")
        is_any = schema.get("items") in (None, True, {})
        return {"type": LIST_PREFIX + ("text" if is_any else "object")}
    lost += item.lost
    return item.document | {"type": LIST_PREFIX + item.document["type"]}


def _import_limits(
    document: dict[str, Any], schema: SchemaMapping, lost: list[str]
) -> None:
    kind = document["type"]
    is_list = kind.startswith(LIST_PREFIX)
    applicable = _LIST_LIMITS if is_list else find_property_type(kind).limits
    for keyword, (name, step) in _LIMITS.items():
        value = schema.get(keyword)
        if value is None:
            continue
        is_integer = kind == "integer" and type(value) is int
        fits = is_integer if step else isinstance(value, int | float)
        if name in applicable and fits:
            document[name] = value + step
        else:
            lost.append(f"`{keyword}`")
    known_format = schema.get("format")
    if known_format is not None and known_format not in _FORMATS:
        lost.append(f"the format `{known_format}`")


def _type_of(schema: SchemaMapping, lost: list[str]) -> str | None:
    """The declared type; `array` stands for a list whose items are still unknown."""
    if _enum_of(schema) is not None:
        return "enum"
    sent = schema.get("type")
    kinds = sent if isinstance(sent, list) else [sent]
    if sorted(map(str, kinds)) == ["integer", "number"]:
        return "number"
    kind = kinds[0] if len(kinds) == 1 else None
    if kind == "string":
        return _FORMATS.get(str(schema.get("format")), "text")
    if kind in _TYPES:
        return str(kind)
    lost.append("the type: it is not one of the types that can be declared")
    return None


def _enum_of(schema: SchemaMapping) -> list[str] | None:
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if not isinstance(values, list) or not values:
        return None
    return values if all(isinstance(value, str) and value for value in values) else None


def _without_null(
    schema: SchemaMapping, root: SchemaMapping, lost: list[str]
) -> tuple[SchemaMapping, bool]:
    """The schema of all values except null, and whether null is valid, too."""
    kinds = schema.get("type")
    if isinstance(kinds, list) and "null" in kinds:
        rest = [kind for kind in kinds if kind != "null"]
        values = schema.get("enum")
        cleaned = {**schema, "type": rest[0] if len(rest) == 1 else rest}
        if isinstance(values, list):
            cleaned["enum"] = [value for value in values if value is not None]
        return cleaned, True
    for keyword in ("anyOf", "oneOf"):
        choices = schema.get(keyword)
        if not isinstance(choices, list):
            continue
        others = [choice for choice in choices if choice != {"type": "null"}]
        if len(others) == 1:
            merged = {key: value for key, value in schema.items() if key != keyword}
            resolved = _resolve(others[0], root, lost)
            return {**merged, **(resolved or {})}, len(others) < len(choices)
    return schema, schema.get("nullable") is True


def _resolve(schema: Any, root: SchemaMapping, lost: list[str]) -> SchemaMapping | None:
    """Follow local references; None if they do not lead to a schema."""
    for _ in range(_MAX_REFERENCES):
        if not isinstance(schema, Mapping):
            lost.append("everything: it is not a schema")
            return None
        reference = schema.get("$ref")
        if reference is None:
            return schema
        target = _look_up(str(reference), root)
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        if not isinstance(target, Mapping):
            lost.append(f"the reference `{str(reference)[:80]}`")
            return None
        schema = {**target, **rest}
    lost.append("the references: they form a cycle")
    return None


def _look_up(reference: str, root: SchemaMapping) -> Any:
    if not reference.startswith("#"):
        return None
    found: Any = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if name and isinstance(found, Mapping) else found
    return found

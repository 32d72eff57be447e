"""`/docs`: reference of the HTTP API, made from its OpenAPI document."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from fastapi import APIRouter, Request, Response

from app.pages.render import Pages

Document = dict[str, Any]

# Tags of the document in the order of the page.
_GROUPS = {
    "events": "Send events",
    "reading": "Read events",
    "schemas": "Schemas",
    "health": "Operations",
}
_REF = "#/components/schemas/"


class Field(NamedTuple):
    """A parameter, or a field of a response."""

    name: str
    type: str
    description: str
    place: str = ""
    is_required: bool = False


class Answer(NamedTuple):
    """A response by its status."""

    status: str
    description: str
    types: list[str]


class Operation(NamedTuple):
    """An operation, and further paths that do the same.

    Attributes:
        anchor: id of its heading.
        fields: of the response 200, if that is an object.
        example: of the request body, as JSON.
    """

    anchor: str
    method: str
    path: str
    aliases: list[str]
    summary: str
    description: str
    parameters: list[Field]
    bodies: list[str]
    example: str | None
    answers: list[Answer]
    fields: list[Field]


def reference_routes(pages: Pages, document: Callable[[], Document]) -> APIRouter:
    """`/docs`, from the OpenAPI document."""
    routes = APIRouter(include_in_schema=False)

    @routes.api_route("/docs", methods=["GET", "HEAD"])
    async def show(request: Request) -> Response:
        return await pages.render_in_thread(
            "api_reference.html",
            request=request,
            context=lambda: {"groups": read_groups(document())},
        )

    return routes


def read_groups(document: Document) -> dict[str, list[Operation]]:
    """Operations by the title of their group; those that do the same are one."""
    groups: dict[str, list[Operation]] = {title: [] for title in _GROUPS.values()}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            group = groups[_GROUPS[operation["tags"][0]]]
            same = next((o for o in group if _is_alias(o, method, operation)), None)
            if same is not None:
                same.aliases.append(path)
            else:
                group.append(_operation(document, path, method, operation))
    # Calls that store nothing come after those that send events.
    groups[_GROUPS["events"]].sort(key=lambda each: "no events" in each.summary)
    return groups


def _is_alias(known: Operation, method: str, operation: Document) -> bool:
    return (
        method == "post"
        and known.method == "POST"
        and known.summary == operation["summary"]
    )


def _operation(
    document: Document, path: str, method: str, operation: Document
) -> Operation:
    content = operation.get("requestBody", {}).get("content", {})
    examples = content.get("application/json", {}).get("examples", {})
    example = next((each["value"] for each in examples.values()), None)
    return Operation(
        anchor=operation["operationId"],
        method=method.upper(),
        path=path,
        aliases=[],
        summary=operation["summary"],
        description=operation.get("description", ""),
        parameters=[
            Field(
                each["name"],
                _type_of(each["schema"]),
                each.get("description", ""),
                each["in"],
                is_required=each.get("required", False),
            )
            for each in operation.get("parameters", ())
        ],
        bodies=list(content),
        example=example and json.dumps(example, indent=2, ensure_ascii=False),
        answers=[
            Answer(status, each.get("description", ""), list(each.get("content", ())))
            for status, each in sorted(operation["responses"].items())
        ],
        fields=_fields(document, operation),
    )


def _fields(document: Document, operation: Document) -> list[Field]:
    content = operation["responses"].get("200", {}).get("content", {})
    ref = content.get("application/json", {}).get("schema", {}).get("$ref", "")
    schema = document["components"]["schemas"].get(ref.removeprefix(_REF), {})
    required = schema.get("required", ())
    return [
        Field(
            name,
            _type_of(each),
            each.get("description", ""),
            is_required=name in required,
        )
        for name, each in schema.get("properties", {}).items()
    ]


def _type_of(schema: Document) -> str:
    """The type in words, such as `integer`, `text or null` or `list of objects`."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(map(_type_of, schema["anyOf"])))
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "$ref" in schema:
        return "object"
    if schema.get("type") == "array":
        return f"list of {_type_of(schema.get('items', {}))}s"
    return str(schema.get("format") or schema.get("type", "any value"))

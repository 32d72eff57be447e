"""`/docs`: reference of the HTTP API, made from its OpenAPI document."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

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


def reference_routes(pages: Pages, document: Callable[[], Document]) -> APIRouter:
    """`/docs`, from the OpenAPI document."""
    routes = APIRouter(include_in_schema=False)

    @routes.api_route("/docs", methods=["GET", "HEAD"])
    async def show(request: Request) -> Response:
        groups = await asyncio.to_thread(lambda: read_groups(document()))
        return await pages.render(
            "api_reference.html", request=request, groups=groups, type_of=type_of
        )

    return routes


def read_groups(document: Document) -> dict[str, list[Document]]:
    """Operations by the title of their group; those that do the same are one.

    Each is the operation of the document, with its method and path, the other paths
    that do the same (`aliases`), an example of its body, and the schema of its
    response 200.
    """
    groups: dict[str, list[Document]] = {title: [] for title in _GROUPS.values()}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            group = groups[_GROUPS[operation["tags"][0]]]
            same = [
                each
                for each in group
                if each["method"] == method == "post"
                and each["summary"] == operation["summary"]
            ]
            if same:
                same[0]["aliases"].append(path)
                continue
            more = {"method": method, "path": path, "aliases": []}
            more["example"] = _example_of(operation)
            more["response"] = _response_of(
                operation, document["components"]["schemas"]
            )
            group.append(operation | more)
    # Calls that store nothing come after those that send events.
    groups[_GROUPS["events"]].sort(key=lambda each: "no events" in each["summary"])
    return groups


def _example_of(operation: Document) -> str | None:
    """The first example of the body, as JSON."""
    body = operation.get("requestBody", {}).get("content", {})
    for example in body.get("application/json", {}).get("examples", {}).values():
        return json.dumps(example["value"], indent=2, ensure_ascii=False)
    return None


def _response_of(operation: Document, schemas: Document) -> Document:
    """The schema of the response 200; empty if that is not an object."""
    content = operation["responses"].get("200", {}).get("content", {})
    ref = content.get("application/json", {}).get("schema", {}).get("$ref", "")
    schema: Document = schemas.get(ref.removeprefix(_REF), {})
    return schema


def type_of(schema: Document) -> str:
    """The type in words, such as `integer`, `text or null` or `list of objects`."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(map(type_of, schema["anyOf"])))
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "$ref" in schema:
        return "object"
    if schema.get("type") == "array":
        return f"list of {type_of(schema.get('items', {}))}s"
    return str(schema.get("format") or schema.get("type", "any value"))

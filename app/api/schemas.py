"""The JSON Schemas of the events, made from the models that validate."""

import asyncio
from typing import Any

from fastapi import APIRouter

from app.api.openapi import problem_responses
from app.events.catalog import Catalog
from app.events.declaration import declaration_schema
from app.events.json_schema import all_schemas, json_schema
from app.request_errors import NotFoundError


def schema_routes(catalog: Catalog) -> APIRouter:
    """Routes `/schemas` and `/schemas/{event}`."""
    routes = APIRouter(tags=["schemas"])

    @routes.get(
        "/schemas/declaration", summary="The JSON Schema of an event declaration"
    )
    async def declaration() -> dict[str, Any]:
        return await asyncio.to_thread(declaration_schema)

    @routes.get("/schemas", summary="The JSON Schema of each event, by its name")
    async def schemas() -> dict[str, dict[str, Any]]:
        return await asyncio.to_thread(all_schemas, catalog)

    @routes.get(
        "/schemas/{event}",
        summary="The JSON Schema of one event",
        responses=problem_responses(404),
    )
    async def schema(event: str) -> dict[str, Any]:
        if event not in catalog:
            raise NotFoundError("There is no such event; GET /schemas lists them.")
        return await asyncio.to_thread(json_schema, catalog[event])

    return routes

"""The OpenAPI document: FastAPI's own, with stubs for the routes that take events."""

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from itertools import islice
from typing import Annotated, Any

import orjson
from fastapi import FastAPI, Header, Query
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import SkipJsonSchema, models_json_schema

from app.access.session_cookie import SESSION_COOKIE
from app.events.catalog import Catalog
from app.events.json_schema import track_body_schema
from app.ingest.response_models import ProblemModel, TrackResponseModel
from app.ingest.routes import TrackRoute
from app.request_errors import REQUEST_ERRORS

_REF = "#/components/schemas/{model}"
_JSON = "application/json"
_PROBLEM_JSON = "application/problem+json"
_SUFFIX = "Model"
_FIRST = "/track"
_EXAMPLES_OF_ALIASES = 2


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Documentation of error responses, for FastAPI."""
    return {status: _problem(status) for status in statuses}


def openapi_document(
    app: FastAPI, routes: Sequence[TrackRoute], catalog: Catalog
) -> dict[str, Any]:
    """The OpenAPI document of the app and of the routes that are served ahead of it."""
    # Routes that differ in nothing but their path share a stub: each costs 3 ms.
    shared = {_shape(route): route for route in routes}
    stubs = [_stub(route, catalog) for route in shared.values()]
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        routes=[*app.routes, *stubs],
    )
    paths = document["paths"]
    described = {key: paths.pop(route.path)["post"] for key, route in shared.items()}
    for route in routes:
        operation = described[_shape(route)] | {"operationId": _operation_id(route)}
        paths[route.path] = {"post": operation}
    _remove_validation_errors(document)
    components = document["components"]
    # FastAPI has no way to give a model to another media type than a route's own.
    _, problem = models_json_schema(
        [(ProblemModel, "serialization")], ref_template=_REF
    )
    components["schemas"] = problem["$defs"] | components["schemas"]
    components["schemas"] |= {
        "EventBody": track_body_schema(catalog),
        "CallBody": _CALL_BODY,
    }
    components["securitySchemes"] = _SECURITY | _SESSION
    return _with_public_names(document)


_CALL_BODY = {
    "description": "A call that is no event, or several: answered, and not stored.",
    "type": ["object", "array"],
}
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "The key is the user name; there is no password.",
    },
    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "X-Write-Key": {"type": "apiKey", "in": "header", "name": "X-Write-Key"},
    "KEY": {"type": "apiKey", "in": "header", "name": "KEY"},
}
_SESSION = {
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": "Of a browser that has signed in; for reading alone.",
    }
}
READER_SECURITY: list[dict[str, Any]] = [{name: []} for name in _SECURITY | _SESSION]


_SUMMARIES = {
    "track": "Send events",
    "typed": "Send events as an SDK does",
    "other": "Send calls that are no events",
}
_DESCRIPTION = (
    "One event, an array of events, or an object whose `batch` is one. "
    "200 means that each event reported `stored` or `duplicate` is committed, "
    "and each `rejected` one is kept with its reasons. Sending a body again "
    "stores nothing twice. The key may also stand in the body, as `writeKey`."
)
_LENIENT = {
    False: "",
    True: " A body whose every event is rejected is answered 200 all the same.",
}


def _shape(route: TrackRoute) -> TrackRoute:
    """What the description of a route depends on."""
    is_first = route.path == _FIRST
    return replace(route, path=_FIRST if is_first else "", lists_warnings=False)


def _operation_id(route: TrackRoute) -> str:
    return route.path.strip("/").replace("/", "_")


def _stub(route: TrackRoute, catalog: Catalog) -> APIRoute:
    """A route that describes a route for events; nothing ever calls it."""
    body = "CallBody" if route.calls == "other" else "EventBody"
    content = {"schema": _ref(body), "examples": _examples(route, catalog)}
    statuses = [400, 401, 408, 413, 415, 431, 500, 503]
    if not route.lenient:
        statuses.append(422)
    return APIRoute(
        route.path,
        _track,
        methods=["POST"],
        tags=["events"],
        operation_id=_operation_id(route),
        summary=_SUMMARIES[route.calls],
        description=_DESCRIPTION + _LENIENT[route.lenient],
        response_model=TrackResponseModel,
        response_description="A result for each event",
        responses={
            200: {"headers": _headers("X-Request-Id")},
            **problem_responses(*statuses),
        },
        openapi_extra={
            "security": [{name: []} for name in _SECURITY],
            "requestBody": {"required": True, "content": {_JSON: content}},
        },
    )


async def _track(
    *,
    dry_run: Annotated[
        bool, Query(description="Validate the events and store nothing.")
    ] = False,
    idempotency_key: Annotated[
        str | SkipJsonSchema[None],
        Header(
            alias="Idempotency-Key",
            description="The `message_id` if the body is one event.",
            min_length=1,
            max_length=255,
        ),
    ] = None,
) -> None:
    """Parameters of the routes for events."""


def _examples(route: TrackRoute, catalog: Catalog) -> dict[str, Any]:
    """Bodies to send: of all events on `/track`, and of the first ones elsewhere."""
    listed = None if route.path == _FIRST else _EXAMPLES_OF_ALIASES
    samples = {name: catalog[name].sample for name in islice(catalog, listed)}
    several = list(samples.values())[:2]
    return {
        **{name: {"value": sample} for name, sample in samples.items()},
        "several": {"value": several},
        "batch": {"value": {"batch": several[:1]}},
    }


def _remove_validation_errors(document: dict[str, Any]) -> None:
    """Remove FastAPI's 422: invalid parameters get a 400 or are ignored here."""
    for path in document["paths"].values():
        for operation in path.values():
            content = operation["responses"].get("422", {}).get("content", {})
            if _PROBLEM_JSON not in content:
                operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


def _with_public_names(document: dict[str, Any]) -> dict[str, Any]:
    """Rename the components `...Model`: generated clients take the names over."""
    schemas = document["components"]["schemas"]
    for name in [name for name in schemas if name.endswith(_SUFFIX)]:
        public = name.removesuffix(_SUFFIX)
        schemas[public] = schemas.pop(name) | {"title": public}
    renamed: dict[str, Any] = orjson.loads(
        orjson.dumps(document).replace(f'{_SUFFIX}"}}'.encode(), b'"}')
    )
    return renamed


def _problem(status: int) -> dict[str, Any]:
    kinds = [kind for kind in REQUEST_ERRORS if kind.status == status]
    names = ["X-Request-Id"]
    if status == HTTPStatus.UNAUTHORIZED:
        names.append("WWW-Authenticate")
    if any(kind.retry_after for kind in kinds):
        names.append("Retry-After")
    return {
        "description": "; ".join(kind.title for kind in kinds)
        or "Every event was rejected",
        "headers": _headers(*names),
        "content": {_PROBLEM_JSON: {"schema": _ref("ProblemModel")}},
    }


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"required": True, "schema": {"type": "string"}} for name in names}


def _ref(model: str) -> dict[str, str]:
    return {"$ref": _REF.format(model=model)}

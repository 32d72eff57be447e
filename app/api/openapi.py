"""What OpenAPI says of the doors, which FastAPI does not route, and of all errors."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from app.access.session_cookie import SESSION_COOKIE
from app.errors import REQUEST_ERRORS
from app.events.catalog import Catalog
from app.events.json_schema import track_body_schema
from app.ingest.response_models import ProblemModel, TrackResponseModel
from app.ingest.routes import TrackRoute

_REF = "#/components/schemas/{model}"
_JSON = "application/json"
_PROBLEM_JSON = "application/problem+json"


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What FastAPI documents for errors."""
    return {status: _problem(status) for status in statuses}


def describe(
    app: FastAPI, routes: Iterable[TrackRoute], catalog: Catalog
) -> dict[str, Any]:
    """The OpenAPI document of the app with its doors.

    Args:
        app: its own routes are described by FastAPI.
        routes: each is described here.
        catalog: the events that they take.
    """
    document = FastAPI.openapi(app)
    _, views = models_json_schema(
        [(TrackResponseModel, "serialization"), (ProblemModel, "serialization")],
        ref_template=_REF,
    )
    components = document.setdefault("components", {})
    _drop_validation(document)
    components.setdefault("schemas", {}).update(views["$defs"])
    components["schemas"] |= {
        "EventBody": track_body_schema(catalog),
        "CallBody": _CALL_BODY,
    }
    examples = _examples(catalog)
    components["securitySchemes"] = _SECURITY | _SESSION
    for route in routes:
        document["paths"][route.path] = {"post": _operation(route, examples)}
    return document


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
_MORE = {
    False: "",
    True: " A body whose every event is rejected is answered 200 all the same.",
}


def _drop_validation(document: dict[str, Any]) -> None:
    """What FastAPI would say of a parameter that it refuses is said otherwise."""
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
    schemas = document["components"].get("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)


def _examples(catalog: Catalog) -> dict[str, Any]:
    samples = {name: event_type.sample for name, event_type in catalog.items()}
    several = list(samples.values())[:2]
    return {
        **{name: {"value": sample} for name, sample in samples.items()},
        "several": {"value": several},
        "batch": {"value": {"batch": several[:1]}},
    }


def _operation(route: TrackRoute, examples: dict[str, Any]) -> dict[str, Any]:
    refusals = [400, 401, 408, 413, 415, 431, 500, 503]
    if not route.lenient:
        refusals.append(422)
    return {
        "tags": ["events"],
        "operationId": route.path.strip("/").replace("/", "_"),
        "summary": _SUMMARIES[route.calls],
        "description": _DESCRIPTION + _MORE[route.lenient],
        "security": [{name: []} for name in _SECURITY],
        "parameters": [
            {
                "name": "dry_run",
                "in": "query",
                "description": "Judge the events and store nothing.",
                "schema": {"type": "boolean", "default": False},
            },
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "The `message_id` where the body is one event.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            },
        ],
        "requestBody": {
            "required": True,
            "content": {
                _JSON: {
                    "schema": _ref(
                        "CallBody" if route.calls == "other" else "EventBody"
                    ),
                    "examples": examples,
                }
            },
        },
        "responses": {
            "200": {
                "description": "A result for each event",
                "headers": _headers("X-Request-Id"),
                "content": {_JSON: {"schema": _ref("TrackResponseModel")}},
            },
            **{str(status): _problem(status) for status in sorted(refusals)},
        },
    }


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

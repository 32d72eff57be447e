"""What OpenAPI says of the doors, which FastAPI does not route, and of all errors."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from app.api.doors import Door
from app.errors import RequestError
from app.events.account_added_user import SAMPLE as ACCOUNT_ADDED_USER
from app.events.schema import track_body_schema
from app.events.signed_up import SAMPLE as SIGNED_UP

_REF = "#/components/schemas/{model}"
_JSON = "application/json"
_PROBLEM_JSON = "application/problem+json"


class RemarkView(BaseModel):
    """One error or warning."""

    code: str = Field(examples=["two_digit_year"])
    path: str = Field(description="Where, in the sender's names.")
    message: str


class IndexedRemark(RemarkView):
    """One error, and the event that has it."""

    index: int


class ResultView(BaseModel):
    """What became of one event."""

    model_config = ConfigDict(extra="forbid")

    index: int = Field(description="Where it stood in the body, from 0.")
    status: Literal["stored", "duplicate", "rejected", "valid"]
    id: str = Field(
        description="Of the row in `events`; for a rejected one in `rejected_events`.",
        json_schema_extra={"format": "uuid"},
    )
    event: str | None = Field(default=None, description="Absent where rejected.")
    timestamp: str | None = Field(
        default=None, description="ISO-8601 in UTC; absent where rejected."
    )
    warnings: list[RemarkView]
    errors: list[RemarkView] | None = Field(
        default=None, description="Why it was rejected."
    )
    kept: bool | None = Field(
        default=None, description="False where a rejected event could not be kept."
    )
    truncated: bool | None = Field(
        default=None, description="True where only 128 KiB of it were kept."
    )


class AnswerView(BaseModel):
    """The answer to a body: all that it reports is committed."""

    success: bool = Field(description="Whether no event was rejected.")
    message: str
    response_id: str = Field(description="The request id, as in `X-Request-Id`.")
    stored: int
    duplicates: int
    rejected: int
    results: list[ResultView] = Field(description="One for each event, in order.")
    dry_run: bool | None = None


class ProblemView(BaseModel):
    """Why a whole request was refused (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable; for programs.")
    message: str = Field(description="The detail once more, where SDKs look for it.")
    success: Literal[False]
    response_id: str
    stored: int | None = None
    duplicates: int | None = None
    rejected: int | None = None
    errors: list[IndexedRemark] | None = None
    results: list[ResultView] | None = None
    dry_run: bool | None = None


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What FastAPI documents for errors."""
    return {status: _problem(status) for status in statuses}


def describe(app: FastAPI, doors: Iterable[Door]) -> dict[str, Any]:
    """The OpenAPI document of the app with its doors.

    Args:
        app: its own routes are described by FastAPI.
        doors: each is described here.
    """
    document = FastAPI.openapi(app)
    _, views = models_json_schema(
        [(AnswerView, "serialization"), (ProblemView, "serialization")],
        ref_template=_REF,
    )
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(views["$defs"])
    components["securitySchemes"] = _SECURITY
    for door in doors:
        document["paths"][door.path] = {"post": _operation(door)}
    return document


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


def _operation(door: Door) -> dict[str, Any]:
    refusals = [400, 401, 408, 413, 415, 500, 503]
    if not door.lenient:
        refusals.append(422)
    return {
        "tags": ["events"],
        "operationId": door.path.strip("/").replace("/", "_"),
        "summary": "Send events",
        "description": (
            "One event, an array of events, or an object whose `batch` is one. "
            "200 means that each event reported `stored` or `duplicate` is committed, "
            "and each `rejected` one is kept with its reasons. Sending a body again "
            "stores nothing twice. The key may also stand in the body, as `writeKey`."
            + (
                " A body whose every event is rejected is answered 200 all the same."
                if door.lenient
                else ""
            )
        ),
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
                    "schema": track_body_schema(),
                    "examples": {
                        "signed_up": {"value": SIGNED_UP},
                        "account_added_user": {"value": ACCOUNT_ADDED_USER},
                        "several": {"value": [SIGNED_UP, ACCOUNT_ADDED_USER]},
                        "batch": {"value": {"batch": [SIGNED_UP]}},
                    },
                }
            },
        },
        "responses": {
            "200": {
                "description": "A result for each event",
                "headers": _headers("X-Request-Id"),
                "content": {_JSON: {"schema": _ref("AnswerView")}},
            },
            **{str(status): _problem(status) for status in sorted(refusals)},
        },
    }


def _problem(status: int) -> dict[str, Any]:
    kinds = [kind for kind in RequestError.__subclasses__() if kind.status == status]
    names = ["X-Request-Id"]
    if status == HTTPStatus.UNAUTHORIZED:
        names.append("WWW-Authenticate")
    if any(kind.retry_after for kind in kinds):
        names.append("Retry-After")
    return {
        "description": "; ".join(kind.title for kind in kinds)
        or "Every event was rejected",
        "headers": _headers(*names),
        "content": {_PROBLEM_JSON: {"schema": _ref("ProblemView")}},
    }


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"required": True, "schema": {"type": "string"}} for name in names}


def _ref(model: str) -> dict[str, str]:
    return {"$ref": _REF.format(model=model)}

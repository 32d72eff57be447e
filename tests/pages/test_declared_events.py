"""Declared events on pages, in schemas and OpenAPI, and in ingest."""

import ast
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator as Validator
from sqlalchemy.ext.asyncio import AsyncEngine

from app.declarations.schema_import import import_events
from app.declarations.toml_writer import write_declaration
from app.events.declared import declared_event_type
from app.pages.event_docs import event_doc
from app.pages.snippets import Snippets
from tests.support.app.client import Api, serving, settings
from tests.support.events.declared import declaration_of, trial_with, write_trial

HOSTILE = "<script>alert(1)</script>\"'`{{ 7 * 7 }} %s \\"
HTML = {"accept": "text/html"}
HOSTILE_SCHEMA: dict[str, Any] = {
    "title": "Hostile Event",
    "description": HOSTILE,
    "type": "object",
    "properties": {
        HOSTILE: {"type": "string", "description": HOSTILE, "enum": [HOSTILE]},
        "list": {"type": "array", "items": {"type": "boolean"}},
    },
}


@pytest.fixture
async def api(
    database_url: str, engine: AsyncEngine, key: str, tmp_path: Path
) -> AsyncIterator[Api]:
    directory = write_trial(tmp_path / "events").parent
    [event] = import_events(HOSTILE_SCHEMA, file_name="x")
    text = write_declaration(event.document)
    (directory / "hostile_event.toml").write_text(text, encoding="utf-8")
    configured = settings(database_url, events_dir=directory, ready_events="b2b_saas")
    async with serving(configured, key=key, engine=engine) as api:
        yield api


async def test_declared_event_is_stored_and_a_wrong_one_rejected(api: Api) -> None:
    good = trial_with({"plan_name": "team", "seats": 1.0}, group_id="a1")
    stored = await api.post([good, good | {"properties": {"seats": 0}}])
    results = stored.json()["results"]

    assert [result["status"] for result in results] == ["stored", "rejected"]
    assert {(error["code"], error["path"]) for error in results[1]["errors"]} == {
        ("missing_field", "properties.plan"),
        ("value_out_of_range", "properties.seats"),
    }
    dry = await api.post(good | {"user_id": "u2"}, "/track?dry_run=true")
    assert dry.json()["results"][0]["status"] == "valid"
    titled = await api.post(good | {"event": "Trial Started", "user_id": "u3"})
    assert titled.json()["results"][0]["warnings"][0]["code"] == "event_name_folded"


async def test_schemas_and_openapi_hold_declared_events(api: Api) -> None:
    schemas = (await api.client.get("/schemas")).json()
    assert {
        "signed_up",
        "trial_started",
        "hostile_event",
        "signed_in",
    } <= schemas.keys()
    sample = schemas["trial_started"]["examples"][0]
    assert Validator(schemas["trial_started"]).is_valid(sample)

    document = (await api.client.get("/openapi.json")).json()
    [body] = document["paths"]["/track"]["post"]["requestBody"]["content"].values()
    validator = Validator({"components": document["components"], **body["schema"]})
    assert "trial_started" in body["examples"]
    for name, example in body["examples"].items():
        assert validator.is_valid(example["value"]), name
        taken = await api.post(example["value"])
        assert taken.json()["rejected"] == 0, name
    declaration = (await api.client.get("/schemas/declaration")).json()
    assert declaration["title"] == "Rollcall event declaration"


async def test_pages_describe_declared_events(api: Api) -> None:
    page = (await api.client.get("/events/trial_started", headers=HTML)).text
    for text in ("plan_name", "Number of seats.", "An account began a trial."):
        assert text in page
    listed = (await api.client.get("/events", headers=HTML)).text
    for name in ("signed_up", "trial_started", "hostile_event", "user_waitlisted"):
        assert f'href="/events/{name}"' in listed


@pytest.mark.parametrize("path", ["/events", "/events/hostile_event"])
async def test_hostile_texts_of_a_declaration_are_escaped(api: Api, path: str) -> None:
    response = await api.client.get(path, headers=HTML)

    assert response.status_code == 200
    assert "<script>alert" not in response.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in response.text
    assert "49" not in response.text


def test_code_samples_are_valid_for_every_json_value() -> None:
    values: dict[str, Any] = {
        "t": True, "f": False, "n": None, "s": HOSTILE, "i": 10**30, "x": 1.5,
        "l": [True, None, {"a": []}], "o": {}, "é": "☃",
    }  # fmt: skip
    declaration = declaration_of()
    sample = json.loads(declaration.sample) | {"properties": values}
    declared = declaration.model_copy(update={"sample": json.dumps(sample)})
    doc = event_doc(declared_event_type(declared))

    for snippet in Snippets().write(doc):
        if snippet.language != "python":
            continue
        found = [
            ast.literal_eval(node)
            for node in ast.walk(ast.parse(snippet.code))
            if isinstance(node, ast.Dict)
        ]
        assert values in [each.get("properties", each) for each in found]


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({}, "text"),
        ({"min_length": 3}, "text of at least 3 characters"),
        ({"max_length": 9}, "text of at most 9 characters"),
        ({"min_length": 3, "max_length": 9}, "text of 3 to 9 characters"),
    ],
)
def test_event_doc_states_the_limits_of_a_text(
    limits: dict[str, int], words: str
) -> None:
    declared = declaration_of(code={"type": "text", "description": "A code.", **limits})
    [documented] = event_doc(declared_event_type(declared)).properties
    assert documented.kind == words

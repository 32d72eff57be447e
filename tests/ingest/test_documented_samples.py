"""The documented samples, to the letter, in each form in which they are sent."""

import copy
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.events import account_added_user, signed_up
from app.ingest.routes import TRACK_ROUTES
from tests.support.app.client import Api, serving, settings

SIGNED_UP, ADDED_USER = signed_up.SAMPLE, account_added_user.SAMPLE
TRACK_PATHS = [
    path
    for route in TRACK_ROUTES
    if route.path.endswith("/track")
    for path in (route.path, route.path + "/")
]


def documented(corpora: Path, name: str) -> list[dict[str, Any]]:
    file = corpora.parent / "reference" / "events" / f"{name}.md"
    if not file.exists():
        pytest.skip(f"no document at {file}")
    return [
        json.loads(sample)
        for sample in re.findall(r"```json\n(.*?)```", file.read_text(), re.DOTALL)
    ]


@pytest.mark.parametrize(
    ("name", "sample"),
    [("signed_up", SIGNED_UP), ("account_added_user", ADDED_USER)],
)
def test_samples_are_those_of_the_documents(
    corpora: Path, name: str, sample: dict[str, Any]
) -> None:
    template, complete = documented(corpora, name)

    assert complete == sample
    assert list(complete) == list(sample)
    assert template.keys() == sample.keys()


async def test_signed_up_is_answered_and_stored_as_documented(api: Api) -> None:
    response = await api.post(SIGNED_UP)

    answer = response.json()
    [result] = answer.pop("results")
    [warning] = result.pop("warnings")
    assert response.status_code == 200
    assert answer == {
        "success": True,
        "message": "1 event stored",
        "response_id": response.headers["x-request-id"],
        "stored": 1,
        "duplicates": 0,
        "rejected": 0,
    }
    assert (warning["code"], warning["path"]) == ("two_digit_year", "timestamp")
    id_ = await api.scalar("SELECT CAST(id AS text) FROM events")
    assert result == {
        "index": 0,
        "status": "stored",
        "id": id_,
        "event": "signed_up",
        "timestamp": "2020-11-23T22:28:55.111Z",
    }
    [row] = await api.rows("SELECT * FROM events")
    assert row.source == "billing-backend"
    assert row.event == "signed_up"
    assert row.user_id == SIGNED_UP["user_id"]
    assert row.timestamp == datetime(2020, 11, 23, 22, 28, 55, 111_000, UTC)
    assert row.timestamp_raw == SIGNED_UP["timestamp"]
    assert row.properties == SIGNED_UP["properties"]
    assert (row.group_id, row.message_id, row.context) == (None, None, {})
    assert row.warnings == [warning]


async def test_account_added_user_is_answered_and_stored_as_documented(
    api: Api,
) -> None:
    response = await api.post(ADDED_USER)

    [result] = response.json()["results"]
    assert response.status_code == 200
    assert (result["status"], result["warnings"]) == ("stored", [])
    assert result["timestamp"] == ADDED_USER["timestamp"]
    [row] = await api.rows("SELECT * FROM events")
    assert row.event == "account_added_user"
    assert row.user_id == ADDED_USER["user_id"]
    assert row.group_id == ADDED_USER["context"]["group_id"]
    assert row.timestamp == datetime(2023, 11, 2, 0, 30, 8, 276_000, UTC)
    assert row.properties == ADDED_USER["properties"]


@pytest.mark.parametrize("name", ["signed_up", "account_added_user"])
async def test_template_of_a_document_is_rejected_with_reasons(
    api: Api, corpora: Path, name: str
) -> None:
    template, _ = documented(corpora, name)
    response = await api.post(template)

    assert response.status_code == 422
    assert "unknown_event" in [error["code"] for error in response.json()["errors"]]


def renamed(sample: dict[str, Any], **names: str) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in sample.items()}


def with_properties(sample: dict[str, Any], **names: str) -> dict[str, Any]:
    return sample | {"properties": renamed(sample["properties"], **names)}


def group_at_the_top(name: str) -> dict[str, Any]:
    sample = copy.deepcopy(ADDED_USER)
    return sample | {name: sample.pop("context")["group_id"]}


FORMS = {
    "event_name": renamed(SIGNED_UP, event="event_name"),
    "userId": renamed(SIGNED_UP, user_id="userId"),
    "both names": SIGNED_UP
    | {"userId": SIGNED_UP["user_id"], "event_name": "signed_up"},
    "title case": SIGNED_UP | {"event": "Signed Up"},
    "original timestamp": renamed(SIGNED_UP, timestamp="originalTimestamp"),
    "timestamp beside another": SIGNED_UP
    | {"originalTimestamp": "2026-01-01T00:00:00Z"},
    "user_email": with_properties(SIGNED_UP, email="user_email"),
    "what SDKs add": SIGNED_UP
    | {"type": "track", "integrations": {}, "sentAt": "x", "anonymousId": None},
    "nulls": SIGNED_UP | {"group_id": None, "message_id": None, "context": None},
    "top-level group": group_at_the_top("group_id"),
    "top-level groupId": group_at_the_top("groupId"),
    "context.groupId": ADDED_USER
    | {"context": {"groupId": ADDED_USER["context"]["group_id"]}},
    "role": with_properties(ADDED_USER, user_role="role"),
    "array": [ADDED_USER],
    "batch": {"batch": [ADDED_USER], "context": {"group_id": "of the batch"}},
}
# Forms that say something else, if only by a word: their id is another.
OTHER_CONTENT = {"title case", "user_email", "role"}


@pytest.mark.parametrize("form", FORMS)
async def test_each_form_of_a_sample_is_the_same_event(api: Api, form: str) -> None:
    sent = FORMS[form]
    known = SIGNED_UP if "signed" in json.dumps(sent).lower() else ADDED_USER
    first = (await api.post(known)).json()
    again = await api.post(sent)

    assert again.status_code == 200
    [result] = again.json()["results"]
    if form in OTHER_CONTENT:
        assert result["status"] == "stored"
    else:
        assert result["status"] == "duplicate"
        assert result["id"] == first["results"][0]["id"]
    [row, *_] = await api.rows(f"SELECT * FROM {known['event']}")
    assert row.user_id == known["user_id"]


@pytest.mark.parametrize("path", TRACK_PATHS)
async def test_each_route_accepts_a_sample(api: Api, path: str) -> None:
    response = await api.post(SIGNED_UP, path)

    assert (response.status_code, response.json()["stored"]) == (200, 1)


@pytest.mark.parametrize(
    ("policy", "read"),
    [("ymd", "2020-11-23T22:28:55.111Z"), ("dmy", "2023-11-20T22:28:55.111Z")],
)
async def test_two_digit_year_is_read_by_the_setting(
    database_url: str, engine: AsyncEngine, key: str, policy: str, read: str
) -> None:
    configured = settings(database_url, two_digit_year=policy)
    async with serving(configured, key=key, engine=engine) as api:
        [result] = (await api.post(SIGNED_UP)).json()["results"]
        view = await api.rows("SELECT * FROM signed_up")

    assert result["timestamp"] == read
    assert [row.timestamp for row in view] == [datetime.fromisoformat(read)]


async def test_two_digit_year_can_be_refused(
    database_url: str, engine: AsyncEngine, key: str
) -> None:
    configured = settings(database_url, two_digit_year="reject")
    async with serving(configured, key=key, engine=engine) as api:
        response = await api.post(SIGNED_UP)

    assert response.status_code == 422
    assert [e["code"] for e in response.json()["errors"]] == ["invalid_timestamp"]

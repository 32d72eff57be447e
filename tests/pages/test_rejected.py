"""Rejected events: the list, one event, and the actions of operators."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import orjson
import pytest
from sqlalchemy import text

from app.store.operator import rights
from app.store.quarantine.replay_runs import RUN_FILE, ReplayRuns, ReplayState
from tests.support.app.client import Api
from tests.support.app.console import signed_in, token_of
from tests.support.app.read_api import OURS, bearer, browser, read_key
from tests.support.pipeline.verdicts import signed_up_with

MEND = """
UPDATE rejected_events
SET payload = replace(payload, 'yesterday', '2026-11-01T00:00:00Z') WHERE id = :id
"""
VALID = """{
  "event": "signed_up", "user_id": "u", "timestamp": "2026-11-01T00:00:00Z",
  "properties": {"email": "a@b.c"}
}"""
ACTIONS = ("replay", "purge", "{id}/check", "{id}/correct")


async def reject(api: Api, **changes: Any) -> UUID:
    """Send an event that is rejected; returns its id."""
    sent = signed_up_with(**{"timestamp": "yesterday", **changes})
    [result] = (await api.post(sent)).json()["results"]
    assert result["status"] == "rejected"
    return UUID(result["id"])


async def test_list_filters_and_pages(api: Api) -> None:
    tab = await signed_in(api)
    for number in range(52):
        await reject(api, user_id=f"user-{number}")
    await reject(api, event="nope")
    page = (await tab.get("/rejected")).text
    assert page.count("<tr>") == 51
    assert "53 events match; 53 of them can be replayed." in page
    assert 'name="id"' not in page
    older = page.partition('class="button second" href="')[2].partition('"')[0]
    page = (await tab.get(older.replace("&amp;", "&"))).text
    assert page.count("<tr>") == 4
    page = (await tab.get("/rejected?reason=unknown_event&source=&since=")).text
    assert page.count("<tr>") == 2
    page = (await tab.get("/rejected?since=2100-01-01 00:00:00")).text
    assert "No rejected event matches" in page


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("reason=%ff", 200),
        ("reason=%00", 400),
        (f"reason={'x' * 256}", 400),
        ("since=yesterday", 400),
        ("state=x", 400),
        ("cursor=x", 400),
        ("cursor=", 200),
    ],
)
async def test_list_invalid_filter_is_refused(
    api: Api, query: str, status: int
) -> None:
    headers = bearer(await read_key(api.engine))
    answer = await api.client.get(f"/rejected?{query}", headers=headers)
    assert answer.status_code == status, answer.text


async def test_one_event_shows_payload_and_reasons(api: Api) -> None:
    tab = await signed_in(api)
    id_ = await reject(api)
    page = (await tab.get(f"/rejected/{id_}")).text
    assert "invalid_timestamp" in page
    assert "yesterday" in page
    assert "<textarea" not in page
    assert (await tab.get(f"/rejected/{UUID(int=1)}")).status_code == 404
    assert (await tab.get("/rejected/x")).status_code == 404


async def test_corrected_payload_is_stored_and_the_original_stays(
    api: Api,
) -> None:
    tab = await signed_in(api, scope="operate")
    id_ = await reject(api)
    form = {"form_token": await token_of(tab), "payload": "{"}
    refused = await tab.post(f"/rejected/{id_}/correct", data=form)
    assert refused.status_code == 422
    assert "invalid_json" in refused.text

    form["payload"] = VALID
    checked = (await tab.post(f"/rejected/{id_}/check", data=form)).json()
    assert checked["results"][0]["status"] == "valid"
    assert await api.scalar("SELECT count(*) FROM events") == 0

    done = await tab.post(f"/rejected/{id_}/correct", data=form)
    assert (done.status_code, done.headers["location"]) == (303, f"/rejected/{id_}")
    [[event, received_at, warnings]] = await api.rows(
        "SELECT id, received_at, warnings FROM events"
    )
    assert warnings[-1]["code"] == "corrected_by_operator"
    [row] = await api.rows("SELECT * FROM rejected_events")
    assert (row.corrected_as, row.received_at) == (event, received_at)
    assert "yesterday" in row.payload

    # It no longer waits: neither in the list nor for another correction.
    assert "No rejected event matches" in (await tab.get("/rejected")).text
    page = (await tab.get("/rejected?state=corrected")).text
    assert str(id_) in page
    again = await tab.post(f"/rejected/{id_}/correct", data=form)
    assert again.status_code == 404


async def test_corrected_payload_keeps_the_message_id_of_its_header(
    api: Api,
) -> None:
    tab = await signed_in(api, scope="operate")
    sent = signed_up_with(timestamp="yesterday")
    sent.pop("message_id", None)
    response = await api.post(sent, headers={"idempotency-key": "from-header"})
    [result] = response.json()["results"]
    form = {
        "form_token": await token_of(tab),
        "payload": VALID,
    }
    await tab.post(f"/rejected/{result['id']}/correct", data=form)
    assert await api.scalar("SELECT message_id FROM events") == "from-header"


async def test_replay_selected_reports_progress_and_result(api: Api) -> None:
    tab = await signed_in(api, scope="operate")
    ids = [str(await reject(api, user_id=f"u{n}")) for n in range(3)]
    async with api.engine.begin() as connection:
        await connection.execute(text(MEND), {"id": ids[0]})
    form = {"form_token": await token_of(tab), "id": ids[:2]}
    started = await tab.post("/rejected/replay", data=form)
    assert (started.status_code, started.headers["location"]) == (
        303,
        "/rejected/replay",
    )
    # The page of another visit shows it to its end.
    page = (await tab.get("/rejected/replay")).text
    assert "<li>2 of 2 processed</li>" in page
    assert "1 stored, 0 already stored, 1 still rejected." in page
    assert page.rstrip().endswith("</html>")
    assert await api.scalar("SELECT count(*) FROM events") == 1
    assert await api.scalar("SELECT count(*) FROM rejected_events") == 2
    page = (await tab.get("/rejected")).text
    assert "1 stored, 0 already stored, 1 still rejected." in page


async def test_replay_during_another_is_refused_with_a_message(
    api: Api, operator: httpx.AsyncClient, tmp_path: Path
) -> None:
    form = {"id": str(await reject(api)), "form_token": await token_of(operator)}
    now = datetime.now(UTC)
    running = ReplayState("key:a", 9, started_at=now, updated_at=now)
    (tmp_path / RUN_FILE).write_bytes(orjson.dumps(asdict(running)))
    refused = await operator.post("/rejected/replay", data=form)
    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert "This request started none" in refused.json()["message"]
    assert 'id="replay">A replay is running' in (await operator.get("/rejected")).text


async def test_replay_while_the_service_ends_is_refused_with_that_reason(
    api: Api, operator: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = {"id": str(await reject(api)), "form_token": await token_of(operator)}
    start = ReplayRuns.start

    def start_late(runs: ReplayRuns, *args: Any, **options: Any) -> bool:
        """As when the service begins to end while the request is read."""
        runs.end()
        return start(runs, *args, **options)

    monkeypatch.setattr(ReplayRuns, "start", start_late)
    refused = await operator.post("/rejected/replay", data=form)
    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert "The service is ending" in refused.json()["message"]


async def test_replay_page_without_replay_says_what_to_do(api: Api) -> None:
    tab = await signed_in(api)
    assert "No replay yet" in (await tab.get("/rejected/replay")).text
    assert 'id="replay"' not in (await tab.get("/rejected")).text


async def test_actions_on_a_filter_touch_nothing_else(api: Api) -> None:
    tab = await signed_in(api, scope="operate")
    for number in range(3):
        await reject(api, user_id=f"u{number}")
    kept = await reject(api, event="nope")
    form = {
        "form_token": await token_of(tab),
        "all": "yes",
        "reason": "invalid_timestamp",
    }
    await tab.post("/rejected/replay", data=form)
    page = (await tab.get("/rejected/replay")).text
    assert "0 stored, 0 already stored, 3 still rejected." in page
    page = (await tab.post("/rejected/purge", data=form)).text
    assert "Purge 3 rejected events?" in page
    assert await api.scalar("SELECT count(*) FROM rejected_events") == 4
    page = (await tab.post("/rejected/purge", data=form | {"confirmed": "yes"})).text
    assert "3 rejected events deleted" in page
    assert await api.scalar("SELECT id FROM rejected_events") == kept


async def test_action_without_selection_does_nothing(api: Api) -> None:
    tab = await signed_in(api, scope="operate")
    await reject(api)
    form = {"form_token": await token_of(tab), "confirmed": "yes"}
    page = (await tab.post("/rejected/purge", data=form)).text
    assert "0 rejected events deleted" in page
    bad = await tab.post("/rejected/purge", data=form | {"id": "x"})
    assert (bad.status_code, bad.json()["code"]) == (400, "invalid_parameter")
    bad = await tab.post("/rejected/purge", data=form | {"all": "yes", "since": "x"})
    assert (bad.status_code, bad.json()["code"]) == (400, "invalid_parameter")


async def test_actions_are_in_the_audit_log_with_ids_and_counts_alone(
    api: Api, operator: httpx.AsyncClient
) -> None:
    corrected, purged = await reject(api), await reject(api, user_id="other")
    form = {"form_token": await token_of(operator), "payload": VALID}
    await operator.post(f"/rejected/{corrected}/correct", data=form)
    form = {"form_token": form["form_token"], "id": str(purged), "confirmed": "yes"}
    await operator.post("/rejected/replay", data=form)
    await operator.get("/rejected/replay")  # waits for its end
    await operator.post("/rejected/purge", data=form)
    rows = await api.rows(
        "SELECT actor, action, subject, details FROM audit_log"
        " WHERE action LIKE 'rejected.%' ORDER BY at"
    )
    [event] = await api.rows("SELECT CAST(id AS text) FROM events")
    key = await api.scalar("SELECT id FROM write_keys WHERE scope = 'operate'")
    counts = {"stored": 0, "duplicates": 0, "rejected": 1}
    assert [tuple(row) for row in rows] == [
        (f"key:{key}", "rejected.correct", str(corrected), {"event": event[0]}),
        (f"key:{key}", "rejected.replay", None, counts),
        (f"key:{key}", "rejected.purge", None, {"events": 1}),
    ]


async def test_pages_without_database_rights_are_read_only(
    api: Api, operator: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rights, "_test", lambda right: str(right != "INSERT on events"))
    id_ = await reject(api)
    page = (await operator.get(f"/rejected/{id_}")).text
    assert "<textarea" not in page
    form = {"form_token": await token_of(operator), "id": str(id_)}
    refused = await operator.post("/rejected/replay", data=form)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("action", ACTIONS)
async def test_actions_of_a_reader_are_forbidden(api: Api, action: str) -> None:
    tab = await signed_in(api)
    id_ = await reject(api)
    path = f"/rejected/{action.format(id=id_)}"
    form = {"form_token": await token_of(tab), "id": str(id_), "confirmed": "yes"}
    refused = await tab.post(path, data=form)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    with_key = await api.client.post(
        path, data=form, headers=bearer(await read_key(api.engine))
    )
    assert (with_key.status_code, with_key.json()["code"]) == (403, "forbidden")
    assert await api.scalar("SELECT count(*) FROM rejected_events") == 1


@pytest.mark.parametrize("action", ACTIONS)
async def test_forged_forms_are_refused(api: Api, action: str) -> None:
    tab = await signed_in(api, scope="operate")
    id_ = await reject(api)
    path = f"/rejected/{action.format(id=id_)}"
    form = {"form_token": await token_of(tab), "id": str(id_), "confirmed": "yes"}
    other = await signed_in(api, scope="operate")
    forged: list[tuple[dict[str, str], dict[str, str]]] = [
        (form, {"sec-fetch-site": "cross-site"}),
        (form, {"sec-fetch-site": "same-site"}),
        (form | {"form_token": ""}, {}),
        (form | {"form_token": "x" * 32}, {}),
        (form | {"form_token": await token_of(other)}, {}),
    ]
    for fields, headers in forged:
        refused = await tab.post(path, data=fields, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "cross_site")
    assert await api.scalar("SELECT count(*) FROM rejected_events") == 1
    # A link does nothing either; GET /rejected/replay shows the last one.
    shown = 200 if action == "replay" else 404
    assert (await tab.get(path)).status_code in {shown, 400, 405}
    assert await api.scalar("SELECT count(*) FROM rejected_events") == 1


@pytest.mark.parametrize("action", ACTIONS)
async def test_action_without_session_leads_to_sign_in(api: Api, action: str) -> None:
    id_ = await reject(api)
    async with browser(api) as stranger:
        path = f"/rejected/{action.format(id=id_)}"
        answer = await stranger.post(path, data={"id": str(id_)}, headers=OURS)
    assert answer.status_code == 303
    assert urlsplit(answer.headers["location"]).path == "/sign-in"

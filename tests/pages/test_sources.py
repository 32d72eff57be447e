"""Sources: their activity, warnings and keys."""

import re

import httpx
import pytest

from app.store.keys.keys import create_key
from tests.support.app.client import Api
from tests.support.app.console import signed_in, token_of
from tests.support.app.read_api import OURS, browser
from tests.support.pipeline.verdicts import signed_up_with

SOURCE = "billing-backend"
LIVE_WRITE_KEYS = """
SELECT count(*) FROM write_keys WHERE revoked_at IS NULL AND scope = 'write'
"""


async def test_source_shows_activity_verdicts_warnings_and_keys(api: Api) -> None:
    sent = [
        signed_up_with(user_id="a"),
        signed_up_with(user_id="b", timestamp="2026-11-02"),
        signed_up_with(user_id="c", timestamp="yesterday"),
    ]
    results = (await api.post(sent)).json()["results"]
    tab = await signed_in(api)
    page = (await tab.get("/sources")).text
    assert f'href="/sources/{SOURCE}"' in page
    page = (await tab.get(f"/sources/{SOURCE}")).text
    assert "2 stored, 1 rejected" in page
    assert "time_assumed_midnight" in page
    assert f"/find?q={results[1]['id']}" in page
    assert "invalid_timestamp" in page
    assert "live</span>" in page
    assert "Revoke" not in page
    assert (await tab.get("/sources/nobody")).status_code == 404
    assert (await tab.get("/sources/NOT%20A%20NAME")).status_code == 404


async def test_created_key_is_shown_once_and_works_until_revoked(
    api: Api,
) -> None:
    tab = await signed_in(api, scope="operate")
    form = {"form_token": await token_of(tab, "/sources"), "source": "new-source"}
    page = await tab.post("/sources", data=form)
    assert page.headers["cache-control"] == "no-store"
    [key] = re.findall("rc_[A-Za-z0-9_-]{32}", page.text)
    sent = await api.post(signed_up_with(), headers={"authorization": f"Bearer {key}"})
    assert sent.status_code == 200
    page = await tab.get("/sources/new-source")
    assert key not in page.text
    [path] = re.findall('action="(/keys/[0-9a-f]{12}/revoke)"', page.text)
    done = await tab.post(path, data=form)
    assert done.headers["location"] == "/sources/new-source"
    assert "revoked" in (await tab.get("/sources/new-source")).text
    assert 'action="/keys' not in (await tab.get("/sources/new-source")).text


async def test_rotated_key_works_beside_its_successor(
    api: Api, operator: httpx.AsyncClient
) -> None:
    form = {"form_token": await token_of(operator, "/sources"), "source": SOURCE}
    page = await operator.get(f"/sources/{SOURCE}")
    [path] = re.findall('action="(/keys/[0-9a-f]{12}/rotate)"', page.text)
    page = await operator.post(path, data=form)
    [successor] = re.findall("rc_[A-Za-z0-9_-]{32}", page.text)
    for key in (successor, api.key):
        headers = {"authorization": f"Bearer {key}"}
        assert (await api.post(signed_up_with(), headers=headers)).status_code == 200
    expires = "SELECT count(*) FROM write_keys WHERE expires_at IS NOT NULL"
    assert await api.scalar(expires) == 1


async def test_rotation_gives_an_operator_no_stronger_key(
    api: Api, operator: httpx.AsyncClient
) -> None:
    async with api.engine.begin() as connection:
        await create_key(connection, source=SOURCE, scope="erase")
    id_ = await api.scalar("SELECT id FROM write_keys WHERE scope = 'erase'")
    form = {"form_token": await token_of(operator, "/sources"), "source": SOURCE}
    refused = await operator.post(f"/keys/{id_}/rotate", data=form)
    assert refused.status_code == 404
    assert f"/keys/{id_}/rotate" not in (await operator.get(f"/sources/{SOURCE}")).text


@pytest.mark.parametrize("name", ["", "Not A Name", "a" * 64, "<script>", "-x"])
async def test_source_with_invalid_name_is_refused(api: Api, name: str) -> None:
    tab = await signed_in(api, scope="operate")
    form = {"form_token": await token_of(tab, "/sources"), "source": name}
    refused = await tab.post("/sources", data=form)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_parameter")


async def test_revoking_an_unknown_key_is_not_found(api: Api) -> None:
    tab = await signed_in(api, scope="operate")
    form = {"form_token": await token_of(tab, "/sources")}
    assert (await tab.post("/keys/0123456789ab/revoke", data=form)).status_code == 404
    assert (await tab.post("/keys/x/revoke", data=form)).status_code == 404


@pytest.mark.parametrize("path", ["/sources", "/keys/{id}/rotate", "/keys/{id}/revoke"])
async def test_key_actions_of_a_reader_or_a_forged_form_are_refused(
    api: Api, path: str
) -> None:
    id_ = await api.scalar("SELECT min(id) FROM write_keys WHERE scope = 'write'")
    path = path.format(id=id_)
    reader = await signed_in(api)
    form = {"form_token": await token_of(reader), "source": "new-source"}
    refused = await reader.post(path, data=form)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    operator = await signed_in(api, scope="operate")
    for headers, token in (
        ({"sec-fetch-site": "cross-site"}, await token_of(operator)),
        ({}, "x" * 32),
        ({}, ""),
    ):
        form["form_token"] = token
        refused = await operator.post(path, data=form, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "cross_site")
    async with browser(api) as stranger:
        assert (await stranger.post(path, data=form, headers=OURS)).status_code == 303
    live = (
        "SELECT count(*) FROM write_keys WHERE revoked_at IS NULL AND scope = 'write'"
    )
    assert await api.scalar(live) == 1

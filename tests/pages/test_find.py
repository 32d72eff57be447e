"""Search: people, accounts and single events by one term."""

import shlex
from html import unescape
from typing import Any

import httpx
import pytest

from tests.support.app.client import Api
from tests.support.app.read_api import bearer, read_key
from tests.support.pipeline.verdicts import added_user_with, signed_up_with

HOSTILE = "o'brien\\ \"<b>:term"


@pytest.fixture
async def found(api: Api) -> dict[str, Any]:
    """Some events of one person; returns the result of each."""
    email = {"email": "Ann@example.com"}
    sent = {
        "sign_up": signed_up_with(user_id="ann", message_id="m-1", properties=email),
        "added": added_user_with(
            user_id="boss",
            context={"group_id": "acme"},
            properties={"user_role": "admin", "user_email": "ann@example.com"},
        ),
        "rejected": signed_up_with(user_id="ann", timestamp="yesterday"),
        "other": signed_up_with(user_id="bob", message_id="m-1"),
        "hostile": signed_up_with(user_id=HOSTILE),
    }
    response = (await api.post([*sent.values()])).json()
    return {
        name: {**result, "request": response["response_id"]}
        for name, result in zip(sent, response["results"], strict=True)
    }


async def search(api: Api, term: str) -> httpx.Response:
    headers = bearer(await read_key(api.engine))
    return await api.client.get("/find", params={"q": term}, headers=headers)


@pytest.mark.parametrize(
    ("term", "kinds"),
    [
        ("ann", {"sign_up": "stored", "rejected": "rejected"}),
        ("acme", {"added": "stored"}),
        ("ann@EXAMPLE.com", {"sign_up": "stored", "added": "mentioned"}),
        ("ann m-1", {"sign_up": "stored"}),
        (HOSTILE, {"hostile": "stored"}),
        ("nobody", {}),
    ],
)
async def test_find_shows_events_of_the_term(
    api: Api, found: dict[str, Any], term: str, kinds: dict[str, str]
) -> None:
    page = (await search(api, term)).text
    for name, result in found.items():
        assert (result["id"] in page) == (name in kinds), name
    for kind in ("stored", "mentioned", "rejected"):
        count = [*kinds.values()].count(kind)
        assert page.count(f'data-kind="{kind}"') == count


@pytest.mark.parametrize(
    ("term", "user"),
    [
        ("ann", "ann"),
        ("ann@example.com", "ann"),  # boss only mentions the address
        ("acme", "boss"),
        ("zoe", "zoe"),
        ("zoë", "zoë"),
        ("zoe@example.com", "zoe@example.com"),
        ("yesterday", None),
        ("nobody@example.com", None),
    ],
)
async def test_find_offers_actions_on_the_person_also_without_stored_events(
    api: Api, found: dict[str, Any], term: str, user: str | None
) -> None:
    assert found
    zoe = {"timestamp": "yesterday", "properties": {"email": "zoe@example.com"}}
    await api.post([signed_up_with(user_id=id_, **zoe) for id_ in ("zoe", "zoë")])
    page = unescape((await search(api, term)).text)
    offered = page.partition("rollcall erase --user ")[2].partition(" --dry-run")[0]
    assert shlex.split(offered) == ([user] if user else [])


@pytest.mark.parametrize("name", ["sign_up", "rejected"])
async def test_find_by_event_id(api: Api, found: dict[str, Any], name: str) -> None:
    page = (await search(api, found[name]["id"])).text
    assert page.count("data-kind=") == 1


async def test_find_by_request_id_shows_its_rejected_events(
    api: Api, found: dict[str, Any]
) -> None:
    page = (await search(api, found["rejected"]["request"])).text
    assert page.count("data-kind=") == 1
    assert f"/rejected/{found['rejected']['id']}" in page


async def test_find_shows_sql_that_gives_the_same_rows(
    api: Api, found: dict[str, Any]
) -> None:
    assert found
    page = unescape((await search(api, HOSTILE)).text)
    sql = page.partition("<pre")[2].partition("<code>")[2].partition("</code>")[0]
    async with api.engine.connect() as connection:
        rows = await connection.exec_driver_sql(sql.rstrip(";"))
        assert [row.user_id for row in rows] == [HOSTILE]
    assert "rollcall erase --user" in page


@pytest.mark.parametrize(
    ("term", "status"),
    [("", 200), (" ", 200), ("\0", 400), ("x" * 601, 400), ("'; DROP TABLE", 200)],
)
async def test_find_any_term_is_answered(api: Api, term: str, status: int) -> None:
    assert (await search(api, term)).status_code == status

"""Export and erasure of a person from the page Find."""

import json

import httpx
import pytest
import pytest_asyncio

from app.store.operator import rights
from tests.support.app.client import Api
from tests.support.app.console import signed_in, token_of
from tests.support.app.read_api import OURS, bearer, browser, read_key
from tests.support.pipeline.verdicts import added_user_with, signed_up_with

ANN = {"email": "ann@example.com"}
PERSON = {"user": "ann", "email": ANN["email"]}
ROWS = """
SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM rejected_events),
    (SELECT count(*) FROM erasures)
"""


@pytest_asyncio.fixture(autouse=True)
async def rows(api: Api) -> None:
    """Two events of Ann, one rejected; another person's event mentions her."""
    sent = [
        signed_up_with(user_id="ann", properties=ANN),
        signed_up_with(user_id="ann", timestamp="yesterday", properties=ANN),
        added_user_with(
            user_id="bob", properties={"user_role": "x", "user_email": ANN["email"]}
        ),
        signed_up_with(user_id="annie", properties={"email": "annie@example.com"}),
    ]
    assert (await api.post(sent)).status_code == 200


@pytest_asyncio.fixture
async def eraser(api: Api) -> httpx.AsyncClient:
    """A browser that is signed in with a key of the scope `erase`."""
    return await signed_in(api, scope="erase")


async def form_of(tab: httpx.AsyncClient, **fields: str) -> dict[str, str]:
    return {"form_token": await token_of(tab, "/find?q=ann"), **PERSON, **fields}


async def counts(api: Api) -> tuple[int, ...]:
    [found] = await api.rows(ROWS)
    return tuple(found)


async def test_export_has_own_rows_and_mentions_and_is_audited(
    api: Api,
) -> None:
    tab = await signed_in(api, scope="operate")
    answer = await tab.post("/person/export", data=await form_of(tab))
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["cache-control"] == "no-store"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert sorted((line["table"], line["own"]) for line in lines) == [
        ("events", False),
        ("events", True),
        ("rejected_events", True),
    ]
    [audit] = await api.rows(
        "SELECT actor, details FROM audit_log WHERE action = 'export.subject'"
    )
    key = await api.scalar("SELECT id FROM write_keys WHERE scope = 'operate'")
    assert tuple(audit) == (f"key:{key}", {"rows": 3})
    assert await counts(api) == (3, 1, 0)


async def test_erasure_shows_counts_first_and_changes_nothing(
    api: Api, eraser: httpx.AsyncClient
) -> None:
    page = (await eraser.post("/person/erase", data=await form_of(eraser))).text
    assert "Erase 2 rows for good" in page
    assert page.count('<td class="number">1</td>') == 3
    assert await counts(api) == (3, 1, 0)


async def test_erasure_suggests_addresses_that_were_not_searched(
    eraser: httpx.AsyncClient,
) -> None:
    form = await form_of(eraser, email="")
    page = (await eraser.post("/person/erase", data=form)).text
    assert "have further addresses" in page
    form["email"] = ANN["email"].upper()
    page = (await eraser.post("/person/erase", data=form)).text
    assert "have further addresses" not in page


@pytest.mark.parametrize("mentions", ["list", "redact"])
async def test_confirmed_erasure_deletes_the_person_and_shows_the_receipt(
    api: Api, eraser: httpx.AsyncClient, mentions: str
) -> None:
    form = await form_of(eraser, confirmed="yes", mentions=mentions)
    page = (await eraser.post("/person/erase", data=form)).text
    receipt = page.partition('id="receipt">')[2].partition("<")[0]
    assert await counts(api) == (2, 0, 1)
    email = "SELECT properties ->> 'user_email' FROM events WHERE user_id = 'bob'"
    expected = "[erased]" if mentions == "redact" else ANN["email"]
    assert await api.scalar(email) == expected
    key = await api.scalar("SELECT id FROM write_keys WHERE scope = 'erase'")
    audit = await api.rows(
        "SELECT actor, subject FROM audit_log WHERE action = 'erase'"
    )
    assert [tuple(row) for row in audit] == [(f"key:{key}", receipt)]
    erased_by = await api.scalar("SELECT erased_by FROM erasures")
    assert erased_by.endswith(f" / key:{key}")
    assert ANN["email"] not in page


async def test_find_offers_what_the_key_may_do(api: Api) -> None:
    offered = {}
    for scope in ("read", "operate", "erase"):
        tab = await signed_in(api, scope=scope)
        page = (await tab.get("/find?q=ann")).text
        offered[scope] = (
            'action="/person/export"' in page,
            'formaction="/person/erase"' in page,
        )
    assert offered == {
        "read": (False, False),
        "operate": (True, False),
        "erase": (True, True),
    }


@pytest.mark.parametrize(
    ("lacking", "offered"),
    [
        ("DELETE on events", (200, 403)),
        ("SELECT on events", (403, 403)),
    ],
)
async def test_rights_of_the_database_role_limit_the_actions(
    eraser: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    lacking: str,
    offered: tuple[int, int],
) -> None:
    monkeypatch.setattr(rights, "_test", lambda right: str(right != lacking))
    form = PERSON | {"form_token": await token_of(eraser)}
    statuses = [
        (await eraser.post(f"/person/{action}", data=form)).status_code
        for action in ("export", "erase")
    ]
    assert tuple(statuses) == offered
    page = (await eraser.get("/find?q=ann")).text
    assert 'formaction="/person/erase"' not in page
    assert "rollcall_eraser" in page


@pytest.mark.parametrize("action", ["export", "erase"])
async def test_person_actions_of_readers_and_forged_forms_are_refused(
    api: Api, eraser: httpx.AsyncClient, action: str
) -> None:
    path = f"/person/{action}"
    confirmed = PERSON | {"confirmed": "yes"}
    reader = await signed_in(api)
    form = confirmed | {"form_token": await token_of(reader)}
    refused = await reader.post(path, data=form)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    headers = bearer(await read_key(api.engine))
    assert (await api.client.post(path, data=form, headers=headers)).status_code == 403
    own = await token_of(eraser)
    forged: list[tuple[str, dict[str, str]]] = [
        (own, {"sec-fetch-site": "cross-site"}),
        ("", {}),
        ("x" * 32, {}),
        (form["form_token"], {}),
    ]
    for token, sent in forged:
        form["form_token"] = token
        refused = await eraser.post(path, data=form, headers=sent)
        assert (refused.status_code, refused.json()["code"]) == (403, "cross_site")
    async with browser(api) as stranger:
        assert (await stranger.post(path, data=form, headers=OURS)).status_code == 303
    assert await counts(api) == (3, 1, 0)


async def test_erasure_by_a_key_of_the_scope_operate_is_forbidden(api: Api) -> None:
    tab = await signed_in(api, scope="operate")
    refused = await tab.post("/person/erase", data=await form_of(tab, confirmed="yes"))
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert await counts(api) == (3, 1, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"user": ""},
        {"user": "x" * 256},
        {"user": "a\0b"},
        {"email": "no-address"},
        {"email": "a@b\0"},
        {"email": " ".join(f"{n}@example.com" for n in range(21))},
    ],
)
async def test_invalid_person_is_refused(
    eraser: httpx.AsyncClient, changes: dict[str, str]
) -> None:
    form = await form_of(eraser, **changes)
    for action in ("export", "erase"):
        refused = await eraser.post(f"/person/{action}", data=form)
        assert (refused.status_code, refused.json()["code"]) == (
            400,
            "invalid_parameter",
        )

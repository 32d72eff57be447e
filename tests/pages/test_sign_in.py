import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.access.session_cookie import SESSION_COOKIE
from app.pages.sign_in import local_path
from app.store.keys.codes import create_code
from app.store.keys.keys import hash_key, key_id, revoke_key
from tests.support.app.client import Api, serving, settings
from tests.support.app.read_api import OURS, bearer, browser, read_key
from tests.support.pipeline.verdicts import SIGNED_UP

ELSEWHERE: list[dict[str, str]] = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "cross-site", "origin": "http://rollcall"},
    {"sec-fetch-site": ""},
    {"origin": "http://evil.example"},
    {"origin": "http://rollcall.evil.example"},
    {"origin": "http://rollcall:81"},
    {"origin": "null"},
    {"origin": ""},
    {"origin": "rollcall"},
]


@pytest.fixture
async def key(api: Api) -> str:
    """A read key."""
    return await read_key(api.engine)


@pytest.fixture
async def tab(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that is not signed in."""
    async with browser(api) as client:
        yield client


@pytest.fixture
async def api(database_url: str, engine: Any) -> AsyncIterator[Api]:
    # A worker without a key cache, which notices a revoked key at once.
    trusting_nobody = settings(database_url, key_cache_seconds=0)
    async with serving(trusting_nobody, key="", engine=engine) as api:
        yield api


async def sign_in(
    tab: httpx.AsyncClient, headers: dict[str, str] | None = None, **fields: str
) -> httpx.Response:
    return await tab.post("/sign-in", data=fields, headers=OURS | (headers or {}))


async def is_in(tab: httpx.AsyncClient) -> bool:
    status = (await tab.get("/v1/events")).status_code
    assert status in {200, 401}
    return status == 200


async def test_sign_in_gives_access_until_sign_out(
    tab: httpx.AsyncClient, key: str
) -> None:
    assert not await is_in(tab)
    page = await tab.get("/sign-in?next=/overview")
    assert page.status_code == 200
    assert 'name="next" value="/overview"' in page.text
    assert re.search('type="password"[^>]* name="key"', page.text)

    answer = await sign_in(tab, key=f" {key}\n", next="/overview")
    assert (answer.status_code, answer.headers["location"]) == (303, "/overview")
    assert await is_in(tab)

    answer = await tab.post("/sign-out", headers=OURS)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert SESSION_COOKIE not in tab.cookies
    assert not await is_in(tab)


async def test_sign_out_ends_a_cached_session_at_once(
    database_url: str, engine: Any, key: str
) -> None:
    async with serving(settings(database_url), key="", engine=engine) as api:
        async with browser(api) as tab:
            await sign_in(tab, key=key)
            assert await is_in(tab)
            kept = {"cookie": f"{SESSION_COOKIE}={tab.cookies[SESSION_COOKIE]}"}
            await tab.post("/sign-out", headers=OURS)
        async with browser(api) as thief:
            answer = await thief.get("/v1/events", headers=kept)
        assert answer.status_code == 401


async def test_session_cookie_is_not_the_key_and_is_protected(
    tab: httpx.AsyncClient, key: str
) -> None:
    cookie = (await sign_in(tab, key=key)).headers["set-cookie"]
    value, *flags = cookie.split("; ")

    assert key not in cookie
    assert re.fullmatch(SESSION_COOKIE + "=[A-Za-z0-9_-]{43}", value)
    assert sorted(flags) == ["HttpOnly", "Max-Age=43200", "Path=/", "SameSite=strict"]
    for told in ("https", "HTTPS"):
        behind = await sign_in(tab, {"x-forwarded-proto": told}, key=key)
        assert "; Secure" in behind.headers["set-cookie"]
        assert behind.headers["set-cookie"].startswith(f"__Host-{SESSION_COOKIE}=")
    out = await tab.post("/sign-out", headers=OURS | {"x-forwarded-proto": "https"})
    for flag in ("HttpOnly", "Max-Age=0", "Secure", "SameSite=strict"):
        assert flag in out.headers["set-cookie"]


async def test_sign_in_with_invalid_key_is_refused(api: Api, tab: Any) -> None:
    for wrong in ("", "rc_read_unknown", "\u00e4\u0000\u2028", "' OR 1=1 --"):
        answer = await sign_in(tab, key=wrong, next="/overview")
        assert answer.status_code == 401
        assert "no read key" in answer.text
        assert 'value="/overview"' in answer.text
        assert "set-cookie" not in answer.headers
        assert answer.headers["www-authenticate"] == 'Bearer realm="rollcall"'
    assert await api.scalar("SELECT count(*) FROM sessions") == 0


@pytest.mark.parametrize("from_", ELSEWHERE, ids=str)
async def test_sign_in_from_another_site_is_refused(
    tab: httpx.AsyncClient, key: str, from_: dict[str, str]
) -> None:
    refused = await tab.post("/sign-in", data={"key": key}, headers=from_)
    assert (refused.status_code, refused.json()["code"]) == (403, "cross_site")
    assert "set-cookie" not in refused.headers

    await sign_in(tab, key=key)
    refused = await tab.post("/sign-out", headers=from_)
    assert (refused.status_code, refused.json()["code"]) == (403, "cross_site")
    assert await is_in(tab)


@pytest.mark.parametrize(
    "from_",
    [
        {},
        {"origin": "http://rollcall"},
        {"origin": "https://rollcall"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "same-origin", "origin": "null"},
    ],
    ids=str,
)
async def test_sign_in_from_own_page_or_program_works(
    tab: httpx.AsyncClient, key: str, from_: dict[str, str]
) -> None:
    answer = await tab.post("/sign-in", data={"key": key}, headers=from_)
    assert answer.status_code == 303


async def test_sign_in_by_get_changes_nothing(tab: httpx.AsyncClient, key: str) -> None:
    await sign_in(tab, key=key)
    assert (await tab.get("/sign-out")).status_code == 405
    assert (await tab.get("/sign-in", params={"key": key})).status_code == 200
    assert await is_in(tab)


async def test_session_ends_when_its_key_is_revoked(
    api: Api, tab: httpx.AsyncClient, key: str
) -> None:
    await sign_in(tab, key=key)
    assert await is_in(tab)
    async with api.engine.begin() as connection:
        await revoke_key(connection, id_=key_id(hash_key(key.encode())))
    assert not await is_in(tab)


async def test_code_signs_in_once_and_its_link_can_be_opened_before(
    api: Api, tab: httpx.AsyncClient, key: str
) -> None:
    async with api.engine.begin() as connection:
        code = await create_code(connection, key=key)
    for _ in range(2):
        page = await tab.get("/sign-in", params={"code": code})
        assert f'name="code" value="{code}"' in page.text
        assert 'name="key"' not in page.text
        assert page.headers["referrer-policy"] == "same-origin"
        assert page.headers["cache-control"] == "no-store"

    assert (await sign_in(tab, code=code)).status_code == 303
    assert await is_in(tab)
    async with browser(api) as another:
        again = await sign_in(another, code=code)
        assert again.status_code == 401
        assert "has been used" in again.text
        assert 'name="key"' in again.text
        assert not await is_in(another)


async def test_session_cookie_cannot_send_events(
    api: Api, tab: httpx.AsyncClient, key: str
) -> None:
    await sign_in(tab, key=key)
    assert await is_in(tab)
    for path in ("/track", "/api/track", "/v1/batch"):
        refused = await tab.post(path, json=SIGNED_UP, headers=OURS)
        assert refused.status_code == 401
    assert await api.scalar("SELECT count(*) FROM events") == 0


async def test_key_in_header_takes_precedence_over_cookie(
    tab: httpx.AsyncClient, key: str
) -> None:
    await sign_in(tab, key=key)
    wrong = await tab.get("/v1/events", headers=bearer("rc_read_wrong"))
    assert wrong.status_code == 401
    assert (await tab.get("/v1/events", headers=bearer(key))).status_code == 200


@pytest.mark.parametrize(
    "cookie", ["", "x", "a" * 4000, '"', "\\", "%00", "rc_read_x", "\u00e9"]
)
async def test_invalid_cookie_is_refused(tab: httpx.AsyncClient, cookie: str) -> None:
    headers = [(b"cookie", f"{SESSION_COOKIE}={cookie}".encode())]
    refused = await tab.get("/v1/events", headers=headers)
    assert refused.status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/live",
        "/live?user=a%20b&x=%2F%2Fevil",
        "/events/signed_up#try",
        "/v1/events",
    ],
)
def test_local_path_keeps_own_paths(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "elsewhere",
    [
        "",
        "live",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "/a\\b",
        "\\\\evil.example",
        "http://evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "/\tevil",
        "/\n/evil.example",
        "\t//evil.example",
        " //evil.example",
        "/live\r\nSet-Cookie: a=b",
        "/\u00e4",
        "/" + "a" * 5000,
        "/sign-in",
        "/sign-out",
    ],
)
async def test_local_path_replaces_foreign_addresses(elsewhere: str) -> None:
    assert local_path(elsewhere) == "/live"


async def test_sign_in_hostile_next_is_neither_followed_nor_reflected(
    tab: httpx.AsyncClient, key: str
) -> None:
    hostile = '"><script>alert(1)</script>'
    for query in ({"next": hostile}, {"code": hostile}):
        page = await tab.get("/sign-in", params=query)
        assert "<script>alert" not in page.text
    answer = await sign_in(tab, key=key, next="//evil.example")
    assert answer.headers["location"] == "/live"


async def test_sign_in_form_is_limited(api: Api, tab: httpx.AsyncClient) -> None:
    large = await sign_in(tab, key="a" * 10_000)
    assert (large.status_code, large.json()["code"]) == (413, "body_too_large")
    as_json = await tab.post("/sign-in", json={"key": "a"}, headers=OURS)
    assert as_json.status_code == 415
    many = "&".join(f"a{number}=b" for number in range(100))
    too_many = "&".join(f"a{number}" for number in range(1_200))
    for body in (many, too_many, "key=%ff%fe", b"key=\xff", "key", "&&&", "=", ""):
        answer = await tab.post(
            "/sign-in",
            content=body,
            headers=OURS | {"content-type": "application/x-www-form-urlencoded"},
        )
        assert answer.status_code == 401
    async with api.engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM sessions")) == 0


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
async def test_openapi_omits_routes_for_browsers(
    tab: httpx.AsyncClient, path: str
) -> None:
    document = (await tab.get("/openapi.json")).json()
    assert path not in document["paths"]

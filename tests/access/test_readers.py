"""Authentication of readers, on routes of each kind."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI, Request
from starlette.types import Receive, Scope, Send

from app.access.key_cache import KeyCache
from app.access.readers import (
    ReaderAuth,
    source_limit,
)
from app.access.session_cookie import SESSION_COOKIE
from app.ingest.dispatch import REQUEST_ID
from app.pages.error_handlers import install_error_handlers
from app.pages.render import Pages
from app.pages.static_files import StaticFiles
from app.request_errors import UnavailableError
from app.store.keys.keys import hash_key
from app.store.keys.scopes import Reader, may_operate
from tests.support.app.read_api import bearer

KNOWN = {
    hash_key(b"rc_read_ann"): Reader("ann", "1", "read"),
    hash_key(b"token"): Reader("bob", "2", "operate"),
    hash_key(b"rc_metrics_prom"): Reader("prom", "3", "metrics"),
    hash_key(b"rc_read_crm"): Reader("eve", "4", "read:crm"),
}
COOKIE = {"cookie": f"{SESSION_COOKIE}=token"}


class Bench:
    """Routes that need a reader, on fakes."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.away = False
        readers = ReaderAuth(
            keys=KeyCache(self.fetch("key"), trust_s=60),
            sessions=KeyCache(self.fetch("session"), trust_s=60),
        )
        self.readers = readers
        app = FastAPI()

        @app.get("/api")
        async def api(reader: Annotated[str, Depends(readers.require_reader)]) -> str:
            return reader

        @app.get("/page")
        async def page(
            request: Request,
            reader: Annotated[str, Depends(readers.require_page_reader)],
        ) -> list[str]:
            return [reader, request.state.reader]

        @app.get("/limited")
        async def limited(
            request: Request, _: Annotated[str, Depends(readers.require_source_reader)]
        ) -> list[str | None]:
            access: Reader = request.state.access
            return [access.key_id, source_limit(request)]

        @app.get("/actions")
        async def actions(
            request: Request, _: Annotated[str, Depends(readers.require_page_reader)]
        ) -> bool:
            access: Reader = request.state.access
            return may_operate(access.scope)

        @app.get("/open")
        async def anyone(
            reader: Annotated[str | None, Depends(readers.find)],
        ) -> str | None:
            return reader

        install_error_handlers(app, Pages(StaticFiles()))

        async def named(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("state", {})[REQUEST_ID] = "request-1"
            await app(scope, receive, send)

        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(named), base_url="http://rollcall"
        )

    def fetch(self, kind: str) -> Callable[[bytes], Awaitable[Reader | None]]:
        async def find(digest: bytes) -> Reader | None:
            self.asked[kind] += 1
            if self.away:
                raise UnavailableError("Away.")
            return KNOWN.get(digest)

        return find

    async def get(
        self, path: str, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        return await self.client.get(path, headers=headers)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize(
    ("headers", "reader"),
    [
        (bearer("rc_read_ann"), "ann"),
        ({"x-api-key": "rc_read_ann"}, "ann"),
        (COOKIE, "bob"),
        (COOKIE | bearer("rc_read_ann"), "ann"),
    ],
)
async def test_key_or_cookie_identifies_the_reader(
    bench: Bench, headers: dict[str, str], reader: str
) -> None:
    assert (await bench.get("/api", headers)).json() == reader
    assert (await bench.get("/page", headers)).json() == [reader, reader]
    assert (await bench.get("/open", headers)).json() == reader


@pytest.mark.parametrize("headers", [{}, {"cookie": f"{SESSION_COOKIE}=other"}])
async def test_anonymous_reader_gets_401_or_the_sign_in_page(
    bench: Bench, headers: dict[str, str]
) -> None:
    told = await bench.get("/api", headers)
    assert (told.status_code, told.json()["code"]) == (401, "unauthorized")
    assert told.headers["www-authenticate"] == 'Bearer realm="rollcall"'

    led = await bench.get("/page?user=a%26b&x=1", headers)
    assert led.status_code == 303
    assert led.headers["location"] == "/sign-in?next=/page%3Fuser%3Da%2526b%26x%3D1"
    assert (await bench.get("/open", headers)).json() is None


async def test_wrong_key_is_reported_on_a_page(bench: Bench) -> None:
    for path in ("/api", "/page", "/open"):
        told = await bench.get(path, COOKIE | bearer("rc_read_wrong"))
        assert told.status_code == 401


async def test_many_polls_are_one_look_up(bench: Bench) -> None:
    for headers in (bearer("rc_read_ann"), COOKIE):
        for _ in range(50):
            assert (await bench.get("/api", headers)).status_code == 200
    assert bench.asked == {"key": 1, "session": 1}

    await bench.readers.forget(b"token")
    assert (await bench.get("/api", COOKIE)).status_code == 200
    assert bench.asked["session"] == 2


async def test_outage_is_503_for_unknown_readers(bench: Bench) -> None:
    assert (await bench.get("/api", COOKIE)).status_code == 200
    bench.away = True

    for path in ("/api", "/page"):
        told = await bench.get(path, bearer("rc_read_ann"))
        assert (told.status_code, told.json()["code"]) == (503, "unavailable")
        assert told.headers["retry-after"]
        assert (await bench.get(path, COOKIE)).status_code == 200


@pytest.mark.parametrize("path", ["/api", "/page", "/open", "/actions"])
@pytest.mark.parametrize("key", ["rc_metrics_prom", "rc_read_crm"])
async def test_limited_key_reads_no_more_than_its_scope(
    bench: Bench, path: str, key: str
) -> None:
    assert (await bench.get(path, bearer(key))).status_code == 401


async def test_key_for_one_source_reads_that_source(bench: Bench) -> None:
    limited = await bench.get("/limited", bearer("rc_read_crm"))
    assert limited.json() == ["4", "crm"]
    assert (await bench.get("/limited", bearer("rc_read_ann"))).json() == ["1", None]
    assert (await bench.get("/limited", bearer("rc_metrics_prom"))).status_code == 401


async def test_only_an_operator_may_take_actions(bench: Bench) -> None:
    assert (await bench.get("/actions", bearer("rc_read_ann"))).json() is False
    assert (await bench.get("/actions", COOKIE)).json() is True

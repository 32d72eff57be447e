"""Public documents: one object for all, with an ETag and a compressed form."""

import asyncio
import gzip
import threading
from typing import Any

import anyio
import httpx
import pytest
from fastapi import FastAPI

from app.api.documents import PublicDocuments
from app.pages.api_reference import reference_routes
from app.pages.render import Pages
from app.pages.static_files import StaticFiles
from tests.support.app.client import Api
from tests.support.limits import PATIENCE_S

HTML = {"accept": "text/html"}
DOCUMENTS = [
    "/",
    "/docs",
    "/events",
    "/events/signed_up",
    "/openapi.json",
    "/schemas",
    "/schemas/signed_up",
    "/sign-in",
    StaticFiles().url("page.js"),
    "/static/0123456789abcdef/page.js",
]


@pytest.fixture
def anyone(api: Api) -> httpx.AsyncClient:
    del api.client.headers["authorization"]
    api.client.headers.update(HTML)
    return api.client


@pytest.mark.parametrize("path", DOCUMENTS)
async def test_document_has_an_etag_and_a_compressed_form(
    anyone: httpx.AsyncClient, path: str
) -> None:
    etags = set()
    for _ in range(2):
        packed = await anyone.get(path, headers={"accept-encoding": "br, gzip;q=1"})
        plain = await anyone.get(path, headers={"accept-encoding": "gzip;q=0"})
        assert (packed.status_code, plain.status_code) == (200, 200)
        assert packed.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert packed.content == plain.content
        assert int(packed.headers["content-length"]) < len(plain.content)
        etags |= {packed.headers["etag"], plain.headers["etag"]}
        for form in (packed, plain):
            seen = {"if-none-match": f'"other", {form.headers["etag"]}'}
            again = await anyone.get(path, headers=seen)
            assert (again.status_code, again.content) == (304, b"")
    assert len(etags) == 2


@pytest.mark.parametrize("path", DOCUMENTS)
async def test_document_answers_head(anyone: httpx.AsyncClient, path: str) -> None:
    for _ in range(2):
        head = await anyone.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["content-length"]) > 0


async def test_document_holds_no_address_of_its_first_client(
    anyone: httpx.AsyncClient,
) -> None:
    first = await anyone.get("/events/signed_up", headers={"host": "evil.example"})
    assert "evil.example" not in first.text
    assert (await anyone.get("/events/signed_up")).text == first.text


async def test_unknown_path_is_not_kept(anyone: httpx.AsyncClient) -> None:
    for path in ("/events/nope", "/schemas/nope", "/static/0123456789abcdef/nope.js"):
        response = await anyone.get(path)
        assert "accept-encoding" not in response.headers.get("vary", "").lower()


class Counting:
    """An app that counts how often it responds."""

    def __init__(self, status: int = 200) -> None:
        self.calls = 0
        self.status = status

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        self.calls += 1
        await asyncio.sleep(0)
        headers = [(b"content-type", b"text/plain")]
        start = {"status": self.status, "headers": headers}
        await send({"type": "http.response.start", **start})
        await send({"type": "http.response.body", "body": b"a" * 1000})


def client_of(app: Counting) -> httpx.AsyncClient:
    documents = PublicDocuments(app, public={"/document"}, anonymous={"/home"})
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(documents), base_url="http://rollcall"
    )


async def test_document_is_made_once() -> None:
    app = Counting()
    async with client_of(app) as client:
        for query in ("", "?a=b", "?c"):
            await client.get(f"/document{query}")
        await client.head("/document")
    assert app.calls == 1


async def test_document_asked_for_by_several_at_once_is_made_once() -> None:
    app = Counting()
    async with client_of(app) as client:
        asked = (client.get("/document") for _ in range(5))
        responses = await asyncio.gather(*asked)
    assert {response.content for response in responses} == {b"a" * 1000}
    assert app.calls == 1


async def test_paths_with_one_alias_are_one_document() -> None:
    app = Counting()
    documents = PublicDocuments(app, public={"/a"}, alias=lambda path: path[:2])
    transport = httpx.ASGITransport(documents)
    async with httpx.AsyncClient(transport=transport, base_url="http://r") as client:
        for path in ("/a", "/ab", "/abc"):
            assert (await client.get(path)).content == b"a" * 1000
    assert app.calls == 1


def test_older_digests_of_a_file_have_one_path_that_is_public() -> None:
    files = StaticFiles()
    newest = files.alias(files.url("page.js"))
    older = {files.alias(f"/static/{name}/page.js") for name in ("0", "1.5", "{}")}
    assert {newest} | older <= files.paths
    assert len({newest} | older) == 2


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/static", "/static/", "/static/older", "/static//page.js"),
        *("/static/0/", "/static/0/nope.js", "/static/0//page.js"),
        *("/x/static/0/page.js", "//static/0/page.js", "/static/0/../page.js"),
    ],
)
def test_path_of_no_file_is_not_public(path: str) -> None:
    files = StaticFiles()
    assert files.alias(path) not in files.paths


async def test_document_does_not_wait_for_a_slow_one() -> None:
    begun, ready = threading.Event(), threading.Event()

    def prepare() -> None:
        begun.set()
        assert ready.wait(PATIENCE_S)

    documents = PublicDocuments(
        Counting(), public={"/slow", "/document"}, slow={"/slow": prepare}
    )
    transport = httpx.ASGITransport(documents)
    async with httpx.AsyncClient(transport=transport, base_url="http://r") as client:
        slow = asyncio.create_task(client.get("/slow"))
        assert await asyncio.to_thread(begun.wait, PATIENCE_S)
        assert (await client.get("/document")).status_code == 200
        assert not slow.done()
        ready.set()
        assert (await slow).status_code == 200


async def test_document_is_made_without_the_threads_of_fastapi(
    anyone: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Their backend is imported at their first use, which takes 50 ms of the event loop.
    monkeypatch.delattr(anyio.to_thread, "run_sync")
    for path in DOCUMENTS:
        assert (await anyone.get(path)).status_code == 200


async def test_reference_is_rendered_outside_the_event_loop() -> None:
    threads: list[int] = []

    def document() -> dict[str, Any]:
        threads.append(threading.get_ident())
        return {"paths": {}}

    app = FastAPI(docs_url=None)
    app.include_router(reference_routes(Pages(StaticFiles()), document))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://r") as client:
        assert (await client.get("/docs")).status_code == 200
    assert threads
    assert threading.get_ident() not in threads


@pytest.mark.parametrize(
    "request_",
    [
        {"method": "POST", "url": "/document"},
        {"method": "GET", "url": "/other"},
        {"method": "GET", "url": "/home?next=/live"},
        {"method": "GET", "url": "/home", "headers": {"x-api-key": "rc_read_x"}},
        {"method": "GET", "url": "/home", "headers": {"cookie": "a=b"}},
    ],
)
async def test_other_requests_reach_the_app(request_: dict[str, Any]) -> None:
    app = Counting()
    async with client_of(app) as client:
        for _ in range(2):
            response = await client.request(**request_)
            assert response.content == b"a" * 1000
    assert app.calls == 2


async def test_failure_is_passed_on_and_not_kept() -> None:
    app = Counting(status=500)
    async with client_of(app) as client:
        for _ in range(2):
            response = await client.get("/document")
            assert (response.status_code, response.content) == (500, b"a" * 1000)
    assert app.calls == 2


async def test_compressed_form_is_readable_by_gzip() -> None:
    async with client_of(Counting()) as client:
        request = client.build_request(
            "GET", "/document", headers={"accept-encoding": "gzip"}
        )
        response = await client.send(request, stream=True)
        raw = b"".join([chunk async for chunk in response.aiter_raw()])
    assert gzip.decompress(raw) == b"a" * 1000

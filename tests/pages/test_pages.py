import json
import re
from html import unescape
from html.parser import HTMLParser

import httpx
import pytest
from fastapi import Request
from jinja2 import UndefinedError
from markupsafe import escape
from typing_extensions import override

from app.pages.event_docs import event_doc
from app.pages.render import Pages, prose
from app.pages.static_files import StaticFiles
from app.request_errors import REQUEST_ERRORS, NotFoundError
from tests.support.app.client import Api
from tests.support.pipeline.verdicts import CATALOG

HTML = {"accept": "text/html,application/xhtml+xml"}
PAGES = ["/", "/events", "/events/signed_up", "/events/account_added_user"]


async def page_of(api: Api, path: str, status: int = 200) -> httpx.Response:
    response = await api.client.get(path, headers=HTML)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    return response


class Loaded(HTMLParser):
    """Collects the files that a page loads, and everything that the policy forbids."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.paths: list[str] = []
        self.inline: list[str] = []
        self._in_script = False
        self.feed(html)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.inline += [name for name in given if name == "style" or name[:2] == "on"]
        if tag == "style":
            self.inline.append(tag)
        if tag == "script":
            self.inline += [] if "src" in given else [tag]
        loads = given.get("src") or (given.get("href") if tag == "link" else None)
        if loads:
            self.paths.append(loads)


@pytest.mark.parametrize("path", PAGES)
async def test_page_loads_only_files_of_the_service(api: Api, path: str) -> None:
    loaded = Loaded((await page_of(api, path)).text)
    assert loaded.inline == []
    assert loaded.paths
    for file in loaded.paths:
        assert file.startswith("/static/")
        response = await api.client.get(file)
        assert response.status_code == 200
        assert "immutable" in response.headers["cache-control"]


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/nope", 404)])
async def test_page_policy_allows_only_scripts_of_the_service(
    api: Api, path: str, status: int
) -> None:
    headers = (await page_of(api, path, status)).headers
    policy = dict(
        directive.split(" ", 1)
        for directive in headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


async def test_error_is_html_for_browsers_and_json_for_programs(api: Api) -> None:
    page = await page_of(api, "/nope", 404)
    assert "There is nothing at this path." in page.text
    assert page.headers["x-request-id"] in page.text
    told = await api.client.get("/nope")
    assert told.headers["content-type"] == "application/problem+json"


async def test_error_page_has_headers_of_the_error(api: Api) -> None:
    response = await api.client.post("/", headers=HTML)
    assert response.status_code == 405
    assert "GET" in response.headers["allow"]
    assert "<h1>" in response.text


async def test_error_page_escapes_the_path(api: Api) -> None:
    hostile = "/%22%3E%3Cscript%3Ealert(1)%3C/script%3E"
    page = await page_of(api, hostile, 404)
    assert "<script>alert" not in page.text
    assert "&#34;" not in re.sub(r"href=\"[^\"]*\"", "", page.text)


async def test_static_file_is_immutable_only_under_its_digest(api: Api) -> None:
    path = StaticFiles().url("rollcall.css")
    first = await api.client.get(path)
    assert first.headers["content-type"] == "text/css; charset=utf-8"

    older = re.sub("/static/[^/]+", "/static/0123456789abcdef", path)
    replaced = await api.client.get(older)
    assert replaced.headers["cache-control"] == "no-cache"
    assert replaced.content == first.content

    again = await api.client.get(
        older, headers={"if-none-match": first.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "name", ["nope.js", "..%2frender.py", "%2e%2e/render.py", "../render.py", ""]
)
async def test_static_file_unknown_name_is_not_found(api: Api, name: str) -> None:
    response = await api.client.get(f"/static/0/{name}")
    assert response.status_code == 404


def test_static_file_url_of_missing_file_raises() -> None:
    with pytest.raises(KeyError):
        StaticFiles().url("nope.js")


@pytest.mark.parametrize("event", CATALOG)
async def test_event_page_has_all_fields_and_codes(api: Api, event: str) -> None:
    page = unescape((await page_of(api, f"/events/{event}")).text)
    told = event_doc(CATALOG[event])
    for one in told.parameters + told.properties:
        assert set(one.names) <= {*re.findall("<code>([^<]*)</code>", page)}
    for code, why in (told.errors | told.warnings).items():
        assert f"<code>{code}</code>" in page
        assert prose(why.meaning).unescape() in page
    for kind in REQUEST_ERRORS:
        assert kind.code in page
    assert json.dumps(told.sample, indent=2) in page
    assert f'href="/events/{event}"' in (await page_of(api, "/events")).text


async def test_event_page_unknown_name_links_to_known_events(api: Api) -> None:
    page = await page_of(api, "/events/nope", 404)
    for event in CATALOG:
        assert f'href="/events/{event}"' in page.text
    told = await api.client.get("/events/nope")
    assert (told.status_code, told.json()["code"]) == (404, "not_found")


async def test_pages_respond_to_head(api: Api) -> None:
    for path in PAGES:
        response = await api.client.head(path, headers=HTML)
        assert (response.status_code, response.content) == (200, b"")


async def test_page_escapes_the_host(api: Api) -> None:
    hostile = {"host": 'a"><script>alert(1)</script>'}
    page = await api.client.get("/events/signed_up", headers=HTML | hostile)
    assert "<script>alert" not in page.text


async def test_render_escapes_every_value() -> None:
    scope = {"type": "http", "path": '/"><b>', "headers": [], "state": {}}
    hostile = "<script>alert(1)</script>\"'&"
    page = await Pages(StaticFiles()).render(
        "problem.html",
        request=Request(scope),
        error=NotFoundError(hostile),
        request_id=hostile,
    )
    html = bytes(page.body).decode()
    assert "<script>alert" not in html
    assert "<b>" not in html
    assert html.count(str(escape(hostile))) == 2
    assert prose("a `<b>` <i>") == "a <code>&lt;b&gt;</code> &lt;i&gt;"


async def test_render_missing_variable_raises() -> None:
    scope = {"type": "http", "path": "/", "headers": [], "state": {}}
    with pytest.raises(UndefinedError):
        await Pages(StaticFiles()).render(
            "problem.html", request=Request(scope), error=NotFoundError("")
        )

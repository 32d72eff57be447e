"""Sign in and out: a browser exchanges a read key, or a code, for a session.

The session token is a cookie that scripts cannot read and other sites cannot send.
Only a POST changes anything, and it must come from a page of this service.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from app.access.readers import ReaderAuth
from app.access.session_cookie import SECURE_SESSION_COOKIE, SESSION_COOKIE
from app.pages.forms import read_form, refuse_cross_site, value_of
from app.pages.render import Pages
from app.request_errors import ReaderRequiredError
from app.store.keys.browser_sessions import SESSION_LIFE, Sessions

_HOME = "/live"
# A path on this host: browsers read `//other` and `/\other` as another host. The pages
# of signing in and out are excluded.
_LOCAL = re.compile(r"/(?!/|sign-)[!-\[\]-~]{0,2047}")


def sign_in_routes(sessions: Sessions, readers: ReaderAuth, pages: Pages) -> APIRouter:
    """`/sign-in` and `/sign-out`."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/sign-in")
    async def form(request: Request) -> Response:
        # Mail scanners open links, too: only the POST of this page uses the code up.
        return await show(request, request.query_params)

    @routes.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        refuse_cross_site(request)
        form = await read_form(request)
        code, target = value_of(form, "code"), value_of(form, "next")
        secret = code or value_of(form, "key").strip()
        token = await sessions.sign_in(secret.encode(), is_code=bool(code))
        if token is None:
            wrong = "code" if code else "key"
            return await show(request, {"next": target}, wrong=wrong)
        response = RedirectResponse(local_path(target), HTTPStatus.SEE_OTHER)
        life_s = int(SESSION_LIFE.total_seconds())
        _set_cookie(request, response, token, life_s=life_s)
        return response

    @routes.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        refuse_cross_site(request)
        token = request.cookies.get(SESSION_COOKIE, "").encode()
        if token:
            await sessions.sign_out(token)
            await readers.forget(token)
        response = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
        _set_cookie(request, response, "", life_s=0)
        return response

    async def show(
        request: Request, given: Mapping[str, str], *, wrong: str | None = None
    ) -> Response:
        page = await pages.render(
            "sign_in.html",
            request=request,
            status=HTTPStatus.UNAUTHORIZED if wrong else HTTPStatus.OK,
            code=given.get("code", ""),
            next=local_path(given.get("next", "")),
            wrong=wrong,
        )
        if wrong:
            page.headers.update(ReaderRequiredError("").headers())
        return page

    return routes


def local_path(text: str) -> str:
    """The path to go to after signing in: always one of this service."""
    return text if _LOCAL.fullmatch(text) else _HOME


def _set_cookie(
    request: Request, response: Response, token: str, *, life_s: int
) -> None:
    """Set the session cookie, or delete it where the token is empty."""
    # A proxy says that it received the request over HTTPS. A client that only claims
    # so gets a cookie that its browser does not send over HTTP.
    forwarded = request.headers.get("x-forwarded-proto", "").partition(",")[0]
    is_secure = "https" in {request.url.scheme, forwarded.strip().lower()}
    response.set_cookie(
        SECURE_SESSION_COOKIE if is_secure else SESSION_COOKIE,
        token,
        max_age=life_s,
        path="/",
        httponly=True,
        samesite="strict",
        secure=is_secure,
    )

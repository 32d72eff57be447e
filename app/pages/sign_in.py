"""Signing in: a browser gives a read key, or a code, and gets a session.

The session's token is a cookie that no script reads and no other site sends. All that
changes something is a POST, which also says itself where it comes from.
"""

import asyncio
import re
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from app.access.readers import ReaderAuth
from app.access.session_cookie import SECURE_SESSION_COOKIE, SESSION_COOKIE
from app.errors import (
    BodyTooLargeError,
    CrossSiteError,
    ReaderRequiredError,
    SlowClientError,
    UnsupportedMediaError,
)
from app.pages.render import Pages
from app.store.keys.browser_sessions import SESSION_LIFE, Sessions

_HOME = "/live"
_FORM = "application/x-www-form-urlencoded"
_MAX_FORM_BYTES = 8 * 1024
_FORM_TIMEOUT_S = 10.0
# A path on this host, where `//other` and `/\other` would be another; and no page
# that one has just been on.
_LOCAL = re.compile(r"/(?!/|sign-)[!-\[\]-~]{0,2047}")


def sign_in_routes(sessions: Sessions, readers: ReaderAuth, pages: Pages) -> APIRouter:
    """`/sign-in` and `/sign-out`."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/sign-in")
    async def form(request: Request) -> Response:
        # A link is opened by more than people: only the POST of this page uses it up.
        return show(request, request.query_params)

    @routes.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        refuse_cross_site(request)
        sent = await _read_form(request)
        code = sent.get("code", "")
        secret = code or sent.get("key", "").strip()
        session = await sessions.sign_in(secret.encode(), is_code=bool(code))
        if session is None:
            wrong = "code" if code else "key"
            return show(request, {"next": sent.get("next", "")}, wrong=wrong)
        answer = RedirectResponse(
            local_path(sent.get("next", "")), HTTPStatus.SEE_OTHER
        )
        life_s = int(SESSION_LIFE.total_seconds())
        _set_cookie(request, answer, session.token, life_s=life_s)
        return answer

    @routes.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        refuse_cross_site(request)
        token = request.cookies.get(SESSION_COOKIE, "").encode()
        if token:
            await sessions.sign_out(token)
            readers.forget(token)
        answer = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
        _set_cookie(request, answer, "", life_s=0)
        return answer

    def show(
        request: Request, given: Mapping[str, str], *, wrong: str | None = None
    ) -> Response:
        page = pages.render(
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
    """Where to go after signing in: a path of this service, whatever is asked for."""
    return text if _LOCAL.fullmatch(text) else _HOME


def refuse_cross_site(request: Request) -> None:
    """Refuse what another site has a browser send.

    Browsers say it in `Sec-Fetch-Site` (Fetch Metadata), or over plain HTTP in
    `Origin` (RFC 6454). What says neither comes from no browser.

    Raises:
        CrossSiteError: it is another site's.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        is_ours = site in {"same-origin", "none"}
    elif origin is not None:
        is_ours = origin.partition("://")[2] == request.headers.get("host")
    else:
        is_ours = True
    if not is_ours:
        raise CrossSiteError("Sign in, or out, on this site's own pages.")


def _set_cookie(request: Request, answer: Response, token: str, *, life_s: int) -> None:
    """Set the session cookie, or delete it where the token is empty."""
    # A proxy says that it received the request over HTTPS. A client that only claims
    # so gets a cookie that its browser does not send over HTTP.
    forwarded = request.headers.get("x-forwarded-proto", "").partition(",")[0]
    is_secure = "https" in {request.url.scheme, forwarded.strip().lower()}
    answer.set_cookie(
        SECURE_SESSION_COOKIE if is_secure else SESSION_COOKIE,
        token,
        max_age=life_s,
        path="/",
        httponly=True,
        samesite="strict",
        secure=is_secure,
    )


async def _read_form(request: Request) -> dict[str, str]:
    if request.headers.get("content-type", "").partition(";")[0].strip() != _FORM:
        raise UnsupportedMediaError("Signing in takes a form.")
    body = b""
    try:
        async with asyncio.timeout(_FORM_TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > _MAX_FORM_BYTES:
                    raise BodyTooLargeError(
                        f"A form is {_MAX_FORM_BYTES} bytes at most."
                    )
    except TimeoutError:
        raise SlowClientError("The form did not arrive in time.") from None
    try:
        fields = parse_qs(body.decode(), max_num_fields=10)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}

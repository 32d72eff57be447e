"""Forms of pages: read within limits, and only from pages of this service.

Two things stop a forged form: the browser says which site sent it, and each form holds
a token that is derived from the session cookie, which no other site can read.
"""

import hashlib
import hmac
from urllib.parse import parse_qs

from fastapi import Request
from starlette.requests import ClientDisconnect

from app.access.session_cookie import SESSION_COOKIE
from app.request_errors import (
    BodyTooLargeError,
    CrossSiteError,
    SlowClientError,
    UnsupportedMediaError,
)

_FORM = "application/x-www-form-urlencoded"
_MAX_FIELDS = 1_100

Form = dict[str, list[str]]


async def read_form(request: Request, *, max_bytes: int = 8 * 1024) -> Form:
    """Read a submitted form: the values of each field, in their order.

    The connection limits the time that it may take (`app.http.timeouts`).

    Raises:
        UnsupportedMediaError: the body is not a form.
        BodyTooLargeError: the encoded form is larger than `max_bytes`.
        SlowClientError: the client left, or the connection has refused it as too slow.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != _FORM:
        raise UnsupportedMediaError("Send a form.")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > max_bytes:
                raise BodyTooLargeError(f"A form has at most {max_bytes} bytes.")
    except ClientDisconnect:
        raise SlowClientError("The form did not arrive.") from None
    try:
        return parse_qs(body.decode(), max_num_fields=_MAX_FIELDS)
    except ValueError:
        return {}


def value_of(form: Form, name: str) -> str:
    """The first value of a field; empty if the form does not have it."""
    return form.get(name, [""])[0]


def refuse_cross_site(request: Request) -> None:
    """Refuse a request that another site made a browser send.

    Browsers name the site in `Sec-Fetch-Site` (Fetch Metadata), and over plain HTTP
    in `Origin` (RFC 6454). A request without either does not come from a browser.

    Raises:
        CrossSiteError: another site sent it.
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
        raise CrossSiteError("Submit this form on a page of this service.")


def form_token(request: Request) -> str:
    """The token that forms of this session must hold; empty without a session."""
    session = request.cookies.get(SESSION_COOKIE, "")
    if not session:
        return ""
    return hashlib.blake2b(
        session.encode(), digest_size=16, person=b"rollcall form"
    ).hexdigest()


def check_form_token(request: Request, form: Form) -> None:
    """Refuse a form that was not made for this session.

    Raises:
        CrossSiteError: its token is missing or belongs to another session.
    """
    sent = value_of(form, "form_token")
    if not hmac.compare_digest(sent.encode(), form_token(request).encode()):
        raise CrossSiteError("Reload the page and submit its form again.")

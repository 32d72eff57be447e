"""Render templates: everything escaped, nothing inline, strict headers.

Pages show text from strangers. Three things keep it from running as a script: Jinja
escapes every value, the Content-Security-Policy allows only the scripts of this
service, and those scripts insert text as text.
"""

import asyncio
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from app.access.session_cookie import SESSION_COOKIE
from app.pages.charts import duration
from app.pages.forms import form_token
from app.pages.static_files import StaticFiles

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
# `app.api.security_headers` adds the headers that all responses have.
_HEADERS = {"Content-Security-Policy": _POLICY}


class Pages:
    """Renders the templates of this package."""

    def __init__(self, files: StaticFiles) -> None:
        # Escaping does not depend on the suffix of a template.
        self._templates = Environment(
            loader=PackageLoader("app.pages"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["static"] = files.url
        self._templates.filters |= {
            "prose": prose,
            "duration": duration,
            "grouped": "{:,}".format,
            "utc": "{:%Y-%m-%d %H:%M:%S} UTC".format,
        }

    async def render(
        self, name: str, *, request: Request, status: int = 200, **context: Any
    ) -> HTMLResponse:
        """Render a page with the headers of all pages.

        In a thread: to compile a template takes 15 ms and more, which the event loop
        has not. Those of FastAPI would take 50 ms, to import their backend.

        Args:
            name: of the template, which extends `base.html`.
            request: its path marks the current link of the menu; `state.reader`, if
                set, is the signed-in reader.
            status: the HTTP status.
            context: variables of the template. A missing one is an error.
        """

        def write() -> str:
            return self._templates.get_template(name).render(
                context,
                here=request.url.path,
                reader=getattr(request.state, "reader", None),
                # Public pages do not look up whether the session is still valid.
                has_session=SESSION_COOKIE in request.cookies,
                token=form_token(request),
            )

        html = await asyncio.to_thread(write)
        return HTMLResponse(html, status_code=status, headers=_HEADERS)


def prose(text: str) -> Markup:
    """Our own text as HTML; parts between backticks become code."""
    code = Markup("<code>{}</code>")
    parts = enumerate(text.split("`"))
    return Markup().join(code.format(p) if i % 2 else escape(p) for i, p in parts)


def wants_html(request: Request) -> bool:
    """Whether the client accepts HTML, as browsers do."""
    return "text/html" in request.headers.get("accept", "")

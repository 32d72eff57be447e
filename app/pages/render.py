"""Templates in, HTML out: everything escaped, nothing inline, strict headers.

What a page shows was sent by anybody. Three things stand between that and a script
that runs: Jinja escapes all that it is given, the policy lets no script run but the
files of this service, and no script of ours makes HTML out of text.
"""

from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from app.access.session_cookie import SESSION_COOKIE
from app.pages.charts import duration
from app.pages.static_files import StaticFiles

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    # A page says who is signed in, and may show what was sent.
    "Cache-Control": "no-store",
}


class Pages:
    """Renders the templates of this package.

    Args:
        files: what the pages load.
    """

    def __init__(self, files: StaticFiles) -> None:
        # Unconditional, whatever a template's name ends in.
        self._templates = Environment(
            loader=PackageLoader("app.pages"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["static"] = files.url
        self._templates.filters["prose"] = prose
        self._templates.filters["duration"] = duration

    def render(
        self, name: str, *, request: Request, status: int = 200, **context: Any
    ) -> HTMLResponse:
        """A page with the headers that every page has.

        Args:
            name: of a template, which extends `base.html`.
            request: where it comes from says which link of the menu is this page;
                its `state.reader`, where it is set, who is signed in.
            status: the HTTP status.
            context: what the template names; one that is missing is an error.
        """
        html = self._templates.get_template(name).render(
            context,
            here=request.url.path,
            reader=getattr(request.state, "reader", None),
            # Pages for anyone ask no database whether it still holds.
            has_session=SESSION_COOKIE in request.cookies,
        )
        return HTMLResponse(html, status_code=status, headers=_HEADERS)


def prose(text: str) -> Markup:
    """Our own words, with what stands between backticks as code."""
    code = Markup("<code>{}</code>")
    parts = enumerate(text.split("`"))
    return Markup().join(code.format(p) if i % 2 else escape(p) for i, p in parts)


def wants_html(request: Request) -> bool:
    """Whether a browser asks, and no program."""
    return "text/html" in request.headers.get("accept", "")

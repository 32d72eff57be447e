"""Security headers for browsers, on every response."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Pages have a policy of their own; anything else is data and loads nothing.
_DATA_POLICY = b"default-src 'none'; frame-ancestors 'none'"
_POLICY_HEADER = b"content-security-policy"
_HEADERS = {
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=(), payment=()",
    b"referrer-policy": b"same-origin",
    b"x-content-type-options": b"nosniff",
    b"cache-control": b"no-store",
}


class SecurityHeaders:
    """ASGI middleware that adds the headers which a response lacks."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _secured(list(message.get("headers", ())))
            await send(message)

        await self._app(scope, receive, send_secured)


def _secured(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    present = {name.lower(): value for name, value in headers}
    headers += [pair for pair in _HEADERS.items() if pair[0] not in present]
    is_page = present.get(b"content-type", b"").startswith(b"text/html")
    if not is_page and _POLICY_HEADER not in present:
        headers.append((_POLICY_HEADER, _DATA_POLICY))
    return headers

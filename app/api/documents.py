"""Public documents, made once and answered as bytes.

Rendering a public document for each request would let clients without a key block the
event loop cheaply. The first response to a public path is kept, with a compressed form
and an ETag, and all later responses use the same object.
"""

import asyncio
import gzip
import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.credentials import is_anonymous

_Headers = list[tuple[bytes, bytes]]

_METHODS = frozenset({"GET", "HEAD"})
_OK = 200
# Browsers revalidate each time, and get 304 if nothing has changed.
_REVALIDATE = b"no-cache"
# Not worth compressing.
_MIN_GZIP_BYTES = 512


class _Form(NamedTuple):
    headers: _Headers
    body: bytes


class _Document(NamedTuple):
    etags: tuple[bytes, bytes]
    plain: _Form
    compressed: _Form


class PublicDocuments:
    """ASGI middleware that keeps the responses to public paths.

    Args:
        app: makes each of them once.
        public: paths whose response depends on nothing else.
        anonymous: paths whose response depends on who asks, and on the query: public
            only for a client that shows neither a key nor a session.
        alias: returns one path for all that have the same response.
        slow: functions that make parts of a document, by path. They run in a thread
            before the app responds, and keep their results.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        public: Collection[str],
        anonymous: Collection[str] = (),
        alias: Callable[[str], str] = str,
        slow: Mapping[str, Callable[[], object]] | None = None,
    ) -> None:
        self._app = app
        self._public = public
        self._anonymous = anonymous
        self._alias = alias
        self._slow = slow or {}
        # By path, and whether the menu offers to sign out.
        self._documents: dict[tuple[str, bool], _Document] = {}
        # Documents with the same slow part are made one at a time, so that it is made
        # once. The others do not wait for it.
        self._making: dict[object, asyncio.Lock] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        key = self._key_of(scope)
        if key is None:
            await self._app(scope, receive, send)
            return
        document = self._documents.get(key)
        if document is None:
            part = self._slow.get(key[0], key)
            async with self._making.setdefault(part, asyncio.Lock()):
                document = self._documents.get(key)
                document = document or await self._make(key, scope, receive, send)
        if document is not None:
            await _respond(document, scope, send)

    def _key_of(self, scope: Scope) -> tuple[str, bool] | None:
        if scope["type"] != "http" or scope["method"] not in _METHODS:
            return None
        path = self._alias(scope["path"])
        headers: _Headers = scope["headers"]
        if path in self._anonymous:
            is_public = not scope["query_string"] and is_anonymous(headers)
        else:
            is_public = path in self._public
        has_session = any(name == b"cookie" for name, _ in headers)
        return (path, has_session) if is_public else None

    async def _make(
        self, key: tuple[str, bool], scope: Scope, receive: Receive, send: Send
    ) -> _Document | None:
        """Have the app respond; keep its document, or send its refusal."""
        start: Message = {}
        body = bytearray()

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            if start["status"] == _OK:
                body.extend(message.get("body", b""))
            else:
                await send(message)

        prepare = self._slow.get(key[0])
        if prepare is not None:
            await asyncio.to_thread(prepare)
        # The first client must not decide the response for the others.
        await self._app({**scope, "method": "GET"}, receive, collect)
        if start["status"] != _OK:
            return None
        document = await asyncio.to_thread(
            _document, list(start["headers"]), bytes(body)
        )
        self._documents[key] = document
        return document


def _document(headers: _Headers, body: bytes) -> _Document:
    tag = hashlib.sha256(body).hexdigest()[:32].encode()
    etags = b'"%b"' % tag, b'"%b-gzip"' % tag
    kept = [pair for pair in headers if pair[0] != b"content-length"]
    if (b"cache-control", b"no-store") in kept:
        kept.remove((b"cache-control", b"no-store"))
        kept.append((b"cache-control", _REVALIDATE))
    kept.append((b"vary", b"Accept-Encoding, Cookie"))
    packed = gzip.compress(body, mtime=0)
    compressed = _form([*kept, (b"content-encoding", b"gzip")], etags[1], packed)
    plain = _form(kept, etags[0], body)
    is_smaller = len(body) >= _MIN_GZIP_BYTES and len(packed) < len(body)
    return _Document(etags, plain, compressed if is_smaller else plain)


def _form(headers: _Headers, etag: bytes, body: bytes) -> _Form:
    return _Form(
        [*headers, (b"etag", etag), (b"content-length", b"%d" % len(body))], body
    )


async def _respond(document: _Document, scope: Scope, send: Send) -> None:
    asked = dict(scope["headers"])
    accepted = asked.get(b"accept-encoding", b"")
    seen = asked.get(b"if-none-match", b"")
    form = document.compressed if _takes_gzip(accepted) else document.plain
    if any(etag in seen for etag in document.etags):
        headers = [pair for pair in form.headers if pair[0] != b"content-length"]
        await send({"type": "http.response.start", "status": 304, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return
    await send({"type": "http.response.start", "status": _OK, "headers": form.headers})
    body = b"" if scope["method"] == "HEAD" else form.body
    await send({"type": "http.response.body", "body": body})


def _takes_gzip(accepted: bytes) -> bool:
    for part in accepted.lower().split(b","):
        coding, _, parameter = part.partition(b";")
        if coding.strip() in {b"gzip", b"*"}:
            weight = parameter.replace(b" ", b"")
            return weight not in {b"q=0", b"q=0.0", b"q=0.00", b"q=0.000"}
    return False

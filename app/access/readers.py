"""Authentication of readers: a key in a header, or the session of a browser.

FastAPI dependencies: `Depends(readers.require_reader)` for programs,
`Depends(readers.require_page_reader)` for pages. The reader is then in
`request.state.access`.
"""

from collections.abc import Awaitable, Callable

from fastapi import Request

from app.access.credentials import first_headers, key_from_headers
from app.access.key_cache import KeyCache
from app.access.session_cookie import SESSION_COOKIE
from app.request_errors import ReaderRequiredError, UnauthorizedError
from app.store.keys import scopes
from app.store.keys.scopes import Reader


class SignInRequiredError(Exception):
    """A page that needs a reader is requested by a browser that is not signed in."""


class ReaderAuth:
    """Authenticates readers.

    Where a key or a session has to be looked up, each method may also raise
    UnavailableError and OverloadedError.

    Args:
        keys: keys of every scope except `write`.
        sessions: tokens in cookies.
        on_read: callback for each authenticated request, for the audit log.
    """

    def __init__(
        self,
        *,
        keys: KeyCache[Reader],
        sessions: KeyCache[Reader],
        on_read: Callable[[Reader, str], None] = lambda _reader, _path: None,
    ) -> None:
        self._keys = keys
        self._sessions = sessions
        self._on_read = on_read

    async def find(self, request: Request) -> str | None:
        """Return the name of the reader; None without a key and a session.

        A header decides before a cookie, as for senders. For pages,
        `request.state.reader` holds the name afterwards, too.

        Raises:
            ReaderRequiredError: the header has no key that reads all sources.
        """
        return _check_scope(request, await self._find(request))

    async def find_known(self, request: Request) -> str | None:
        """As `find`; while the database does not respond, as of the last look-up."""
        reader = await self._find(request, KeyCache.source_or_last)
        return _check_scope(request, reader)

    async def _find(
        self,
        request: Request,
        look_up: Callable[
            [KeyCache[Reader], bytes], Awaitable[Reader | None]
        ] = KeyCache.source_of,
    ) -> Reader | None:
        key = _key_of(request)
        reader = None
        if key is not None:
            reader = await look_up(self._keys, key)
            if reader is None:
                raise ReaderRequiredError(
                    "This is no read key, or it is unknown, expired or revoked."
                )
        elif token := request.cookies.get(SESSION_COOKIE):
            reader = await look_up(self._sessions, token.encode())
        request.state.access = reader
        request.state.reader = None if reader is None else reader.name
        return reader

    def is_known(self, headers: list[tuple[bytes, bytes]]) -> bool:
        """Whether a client shows a key or session that was live when last looked up.

        Args:
            headers: lower-case names; at most the session's cookie among them.
        """
        found = first_headers(headers)
        try:
            key = key_from_headers(found)
        except UnauthorizedError:
            return False
        if key is not None:
            return self._keys.knows(key)
        _, _, token = found.get(b"cookie", b"").partition(b"=")
        return bool(token) and self._sessions.knows(token)

    async def require_reader(self, request: Request) -> str:
        """Return the reader of all sources, or raise ReaderRequiredError."""
        reader = await self.find(request)
        if reader is None:
            raise key_required()
        self._count(request)
        return reader

    async def require_source_reader(self, request: Request) -> str:
        """As `required`, but `read:SOURCE` is enough: see `source_limit`."""
        reader = await self._find(request)
        if reader is None:
            raise key_required()
        if scopes.only_source(reader.scope) is None:
            _check_scope(request, reader)
        self._count(request)
        return reader.name

    async def require_page_reader(self, request: Request) -> str:
        """Return the reader; a browser that is not signed in is sent to sign in.

        Raises:
            SignInRequiredError: nobody has signed in.
            ReaderRequiredError: the header has no read key.
        """
        reader = await self.find(request)
        if reader is None:
            raise SignInRequiredError
        self._count(request)
        return reader

    def _count(self, request: Request) -> None:
        route = request.scope.get("route")
        self._on_read(request.state.access, getattr(route, "path", request.url.path))

    async def forget(self, token: bytes) -> None:
        """Look a token up again when it comes next."""
        await self._sessions.forget(token)


def source_limit(request: Request) -> str | None:
    """Return the only source that the reader may see; None for all of them."""
    reader: Reader = request.state.access
    return scopes.only_source(reader.scope)


def _key_of(request: Request) -> bytes | None:
    try:
        return key_from_headers(first_headers(request.scope["headers"]))
    except UnauthorizedError as error:
        raise ReaderRequiredError(error.detail) from None


def _check_scope(request: Request, reader: Reader | None) -> str | None:
    """The name of a reader of all sources; others are refused."""
    if reader is None:
        return None
    if not scopes.may_read(reader.scope):
        request.state.reader = None
        raise _refused(reader)
    return reader.name


def key_required() -> ReaderRequiredError:
    """The error for a reader without a key and without a session."""
    return ReaderRequiredError(
        "Reading needs a read key (`rollcall keys create --scope read`), such "
        "as in `Authorization: Bearer KEY`; a browser signs in at /sign-in."
    )


def _refused(reader: Reader) -> ReaderRequiredError:
    source = scopes.only_source(reader.scope)
    if source is not None:
        return ReaderRequiredError(
            f"This key reads only the source {source}: use it for /v1/events and "
            "/v1/rejected."
        )
    return ReaderRequiredError(
        f"This key has the scope {reader.scope}, which reads no events."
    )

"""Who reads: a read key in a header, or a browser that has signed in with one.

As FastAPI dependencies: `Depends(readers.required)` for programs,
`Depends(readers.on_page)` for pages.
"""

from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from app.access.credentials import first_headers, key_from_headers
from app.access.key_cache import KeyCache
from app.access.session_cookie import SESSION_COOKIE
from app.errors import (
    OverloadedError,
    ReaderRequiredError,
    UnauthorizedError,
    UnavailableError,
)


class SignInRequiredError(Exception):
    """A page that needs a reader is asked for by a browser that has none."""


class ReaderAuth:
    """Knows who reads.

    Args:
        keys: of read keys.
        sessions: of the tokens in cookies.
    """

    def __init__(self, *, keys: KeyCache, sessions: KeyCache) -> None:
        self._keys = keys
        self._sessions = sessions

    async def find(self, request: Request) -> str | None:
        """Who reads; None where there is neither a key nor a cookie that is worth it.

        The header decides where there is one, as for those who write. For pages,
        `request.state.reader` says the same afterwards.

        Raises:
            ReaderRequiredError: the header has no read key.
            UnavailableError, OverloadedError: it could not be looked up.
        """
        try:
            key = key_from_headers(first_headers(request.scope["headers"]))
        except UnauthorizedError as error:
            raise ReaderRequiredError(error.detail) from None
        if key is not None:
            reader = await self._keys.source_of(key)
            if reader is None:
                raise ReaderRequiredError(
                    "This is no read key, or it is unknown or revoked."
                )
        else:
            token = request.cookies.get(SESSION_COOKIE)
            reader = token and await self._sessions.source_of(token.encode())
        request.state.reader = reader or None
        return reader or None

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

    async def find_known(self, request: Request) -> str | None:
        """As `find`; while the database does not respond, as of the last look-up.

        Raises:
            ReaderRequiredError: the header has no read key.
            UnavailableError, OverloadedError: this reader was never looked up.
        """
        try:
            return await self.find(request)
        except (UnavailableError, OverloadedError):
            key = key_from_headers(first_headers(request.scope["headers"]))
            token = request.cookies.get(SESSION_COOKIE, "").encode()
            if key is not None:
                reader = self._keys.last_known(key)
            else:
                reader = self._sessions.last_known(token)
            if reader is None:
                raise
            request.state.reader = reader
            return reader

    async def required(self, request: Request) -> str:
        """Who reads.

        Raises:
            ReaderRequiredError: nobody who may.
            UnavailableError, OverloadedError: it could not be looked up.
        """
        reader = await self.find(request)
        if reader is None:
            raise ReaderRequiredError(
                "Reading needs a read key (`rollcall keys create --scope read`), such "
                "as in `Authorization: Bearer KEY`; a browser signs in at /sign-in."
            )
        return reader

    async def on_page(self, request: Request) -> str:
        """Who reads; a browser that is not signed in is sent to where it can.

        Raises:
            SignInRequiredError: nobody has signed in.
            ReaderRequiredError: the header has no read key.
            UnavailableError, OverloadedError: it could not be looked up.
        """
        reader = await self.find(request)
        if reader is None:
            raise SignInRequiredError
        return reader

    def forget(self, token: bytes) -> None:
        """Believe a token no longer that this worker has known."""
        self._sessions.forget(token)


def install_readers(app: FastAPI) -> None:
    """Have the app send browsers to the page where they sign in."""

    @app.exception_handler(SignInRequiredError)
    async def sign_in_first(request: Request, _: Exception) -> Response:
        path = request.url.path
        if request.url.query:
            path += f"?{request.url.query}"
        return RedirectResponse(f"/sign-in?next={quote(path, safe='/')}", 303)

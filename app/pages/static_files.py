"""Style sheets, scripts and icon of the pages, below a digest of their contents.

All files share one digest, so a module imports another by its plain name, and
browsers may cache each for ever.
"""

import hashlib
from pathlib import Path, PurePosixPath

from fastapi import APIRouter, Response

from app.request_errors import NotFoundError

_FOLDER = Path(__file__).with_name("static")
_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"
_OLDER = "older"


class StaticFiles:
    """All static files, held in memory; no other path leads to a file."""

    def __init__(self) -> None:
        self._files = {
            path.relative_to(_FOLDER).as_posix(): path.read_bytes()
            for path in sorted(_FOLDER.rglob("*"))
            if path.suffix in _TYPES
        }
        every = b"".join(name.encode() + file for name, file in self._files.items())
        self._digest = hashlib.sha256(every).hexdigest()[:16]

    def url(self, name: str) -> str:
        """The path of a file, such as `rollcall.css`.

        Raises:
            KeyError: the file does not exist.
        """
        _ = self._files[name]
        return f"/static/{self._digest}/{name}"

    @property
    def paths(self) -> set[str]:
        """The paths of all files, below this digest and below any older one."""
        digests = (self._digest, _OLDER)
        return {
            f"/static/{digest}/{name}" for digest in digests for name in self._files
        }

    def alias(self, path: str) -> str:
        """The same path with one name for all older digests."""
        if not path.startswith("/static/"):
            return path
        digest, _, name = path.removeprefix("/static/").partition("/")
        return path if digest in {"", self._digest} else f"/static/{_OLDER}/{name}"

    def answer(self, digest: str, name: str) -> Response:
        """The file. An older digest works, too: replicas are replaced one by one.

        Raises:
            NotFoundError: the file does not exist.
        """
        content = self._files.get(name)
        if content is None:
            raise NotFoundError("There is no such file.")
        caching = _FOR_EVER if digest == self._digest else _ASK_AGAIN
        return Response(
            content,
            media_type=_TYPES[PurePosixPath(name).suffix],
            headers={"Cache-Control": caching},
        )


def static_routes(files: StaticFiles) -> APIRouter:
    """`/static/{digest}/{name}`."""
    routes = APIRouter(include_in_schema=False)

    @routes.api_route("/static/{digest}/{name:path}", methods=["GET", "HEAD"])
    async def static(digest: str, name: str) -> Response:
        return files.answer(digest, name)

    return routes

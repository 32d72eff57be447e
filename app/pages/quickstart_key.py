"""`/quickstart-key`: write key of the quick start, for pages on the same machine."""

from pathlib import Path

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from app.access.readers import ReaderAuth

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def quickstart_key_routes(readers: ReaderAuth, *, data_dir: Path) -> APIRouter:
    """`/quickstart-key`: `quickstart.key` of the data directory, if there is one."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/quickstart-key", dependencies=[Depends(readers.require_reader)])
    def read(request: Request) -> Response:
        key = _read(data_dir / "quickstart.key") if _is_local(request) else None
        return JSONResponse({"key": key})

    return routes


def _is_local(request: Request) -> bool:
    """Whether neither a proxy nor another machine is in between."""
    client = request.client.host if request.client else ""
    return client in _LOOPBACK and request.url.hostname in _LOOPBACK


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None

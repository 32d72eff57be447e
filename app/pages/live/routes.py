"""`/live`: the page of arriving events, and the stream that fills it."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from app.access.readers import ReaderAuth
from app.pages.console.known_names import KnownNames
from app.pages.live.feed import LiveFeed
from app.pages.live.frames import read_watermark
from app.pages.live.subscribers import BURST, RATE, LiveFilter
from app.pages.render import Pages
from app.request_errors import RequestError, UnavailableError

# A buffering proxy would delay each row until its buffer is full.
_HEADERS = {"X-Accel-Buffering": "no"}


def live_routes(
    pages: Pages, *, readers: ReaderAuth, feed: LiveFeed, names: KnownNames
) -> APIRouter:
    """`/live` and `/live/stream`."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/live", dependencies=[Depends(readers.require_page_reader)])
    async def live(
        request: Request, wanted: Annotated[LiveFilter, Query()]
    ) -> Response:
        return await pages.render(
            "console/live.html",
            request=request,
            wanted=wanted,
            names=names,
            sources=await names.sources(),
            burst=BURST,
            rate=RATE,
        )

    @routes.get("/live/stream", dependencies=[Depends(readers.require_reader)])
    async def stream(
        request: Request,
        wanted: Annotated[LiveFilter, Query()],
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> Response:
        feed.check_room()
        frames = feed.watch(
            wanted,
            after=read_watermark(last_event_id),
            allowed=partial(_may_read, readers, request),
        )
        return StreamingResponse(
            frames, media_type="text/event-stream", headers=_HEADERS
        )

    return routes


async def _may_read(readers: ReaderAuth, request: Request) -> bool:
    """Whether the key or session is still valid; yes while that is unknown."""
    try:
        return await readers.find(request) is not None
    except UnavailableError:
        return True
    except RequestError:
        return False

"""`/live`: what is arriving, and the stream that it is written by."""

from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from app.access.readers import ReaderAuth
from app.api.query import Wanted
from app.errors import RequestError, UnavailableError
from app.events.catalog import CATALOG
from app.pages.live.feed import Feed
from app.pages.live.filter import Filter
from app.pages.live.frames import read_cursor
from app.pages.live.subscribers import BURST, RATE
from app.pages.render import Pages

# A proxy that gathers what it passes on would make minutes of moments.
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
}


class LiveQuery(BaseModel):
    """What a watcher asks for; a field of the form that is left empty asks nothing."""

    status: Literal["all", "stored", "rejected"] = "all"
    event: Wanted
    source: Wanted
    user_id: Wanted
    group_id: Wanted

    def as_filter(self) -> Filter:
        """For the feed."""
        return Filter(
            None if self.status == "all" else self.status,
            self.event or None,
            self.source or None,
            self.user_id or None,
            self.group_id or None,
        )


def live_routes(pages: Pages, *, readers: ReaderAuth, feed: Feed) -> APIRouter:
    """`/live` and `/live/stream`."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/live", dependencies=[Depends(readers.on_page)])
    async def live(request: Request, query: Annotated[LiveQuery, Query()]) -> Response:
        return pages.render(
            "live.html",
            request=request,
            wanted=query.as_filter(),
            kind=query.status,
            events=list(CATALOG),
            burst=BURST,
            rate=RATE,
        )

    @routes.get("/live/stream", dependencies=[Depends(readers.required)])
    async def stream(
        request: Request,
        query: Annotated[LiveQuery, Query()],
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> Response:
        feed.check_room()
        frames = feed.watch(
            query.as_filter(),
            after=read_cursor(last_event_id),
            allowed=partial(_may_read, readers, request),
        )
        return StreamingResponse(
            frames, media_type="text/event-stream", headers=_HEADERS
        )

    return routes


async def _may_read(readers: ReaderAuth, request: Request) -> bool:
    """Whether the watcher's key or session still holds; in doubt it does."""
    try:
        return await readers.find(request) is not None
    except UnavailableError:
        return True
    except RequestError:
        return False

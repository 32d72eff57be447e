"""The app in this process, with its lifespan, on a real database."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import ASGIApp

from app.main import create_app
from app.settings import Settings
from tests.support.limits import GENEROUS


@dataclass(frozen=True, slots=True)
class Api:
    """A running app.

    Attributes:
        client: sends JSON with a key.
        key: the client's.
        engine: for queries of the stored rows.
    """

    client: httpx.AsyncClient
    key: str
    engine: AsyncEngine

    async def post(
        self,
        body: object,
        path: str = "/track",
        *,
        headers: dict[str, str] | None = None,
        dry_run: str | None = None,
    ) -> httpx.Response:
        """Send bytes as they are and anything else as JSON."""
        params = None if dry_run is None else {"dry_run": dry_run}
        content = body if isinstance(body, bytes) else None
        json = None if isinstance(body, bytes) else body
        return await self.client.post(
            path, content=content, json=json, headers=headers, params=params
        )

    async def rows(self, statement: str, **parameters: object) -> list[Any]:
        async with self.engine.connect() as connection:
            return list(await connection.execute(text(statement), parameters))

    async def scalar(self, statement: str, **parameters: object) -> Any:
        [[value]] = await self.rows(statement, **parameters)
        return value


def settings(database_url: str, **changes: Any) -> Settings:
    """With generous time limits, and without a journal unless it has a place."""
    if "data_dir" not in changes:
        changes["journal"] = "off"
    return Settings(database_url=SecretStr(database_url), **(GENEROUS | changes))


@asynccontextmanager
async def started(app: ASGIApp) -> AsyncIterator[None]:
    """Run the app's lifespan, as a server does."""
    inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    outbox: asyncio.Queue[Any] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    lifespan = asyncio.ensure_future(app(scope, inbox.get, outbox.put))
    inbox.put_nowait({"type": "lifespan.startup"})
    message = await outbox.get()
    if message["type"] != "lifespan.startup.complete":
        await lifespan  # raises the error of the startup
    try:
        yield
    finally:
        inbox.put_nowait({"type": "lifespan.shutdown"})
        assert (await outbox.get())["type"] == "lifespan.shutdown.complete"
        await lifespan


@contextmanager
def logging_restored() -> Iterator[None]:
    """The app sets up this process's logging: undo it afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


@asynccontextmanager
async def serving(
    configured: Settings, *, key: str, engine: AsyncEngine
) -> AsyncIterator[Api]:
    """The app, started, and a client for it."""
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    with logging_restored():
        app = create_app(configured)
        async with (
            started(app),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app),
                base_url="http://rollcall",
                headers=headers,
            ) as client,
        ):
            yield Api(client, key, engine)

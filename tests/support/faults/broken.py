"""Services that break a promise each, for the checker to find out.

argv: which promise, the database's URL. They take one event a request, at /track.
"""

import asyncio
import json
import os
import socket
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import asyncpg
import uvicorn
from fastapi import Depends, FastAPI, Request

from app.store.dsn import dsn_of

PROMISES = ("early", "doubling", "yielding")
# As long as a disk may take that is not waited for.
_LATE_S = 0.2
_STORE = """
INSERT INTO events (id, source, event, user_id, group_id, "timestamp", timestamp_raw,
    received_at, message_id, properties, context)
VALUES ($1, 'broken', $2, $3, $4, $5, $6, now(), $7, $8, $9)
"""
_CLAIM = "INSERT INTO event_ids (id, stored_at, content_hash) VALUES ($1, now(), '')"


def _answer(id_: uuid.UUID) -> dict[str, Any]:
    return {"results": [{"index": 0, "status": "stored", "id": str(id_)}]}


async def _store(connection: Any, event: dict[str, Any], id_: uuid.UUID) -> None:
    await connection.execute(
        _STORE,
        id_,
        event["event"],
        event["user_id"],
        event["context"].get("group_id"),
        datetime.now(UTC),
        event["timestamp"],
        event.get("message_id"),
        json.dumps(event["properties"]),
        json.dumps(event["context"]),
    )
    await connection.execute(_CLAIM, id_)


def make_app(promise: str, url: str) -> FastAPI:
    """Build the one that breaks this promise."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with asyncpg.create_pool(dsn_of(url), min_size=0, max_size=8) as pool:
            app.state.pool = pool
            app.state.late = set()
            yield

    async def unit_of_work(request: Request) -> AsyncIterator[Any]:
        async with request.app.state.pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            yield connection
            await transaction.commit()

    app = FastAPI(lifespan=lifespan)

    if promise == "yielding":

        @app.post("/track")
        async def commit_on_the_way_out(
            request: Request, connection: Annotated[Any, Depends(unit_of_work)]
        ) -> dict[str, Any]:
            id_ = uuid.uuid4()
            await _store(connection, await request.json(), id_)
            return _answer(id_)

        return app

    @app.post("/track")
    async def track(request: Request) -> dict[str, Any]:
        id_ = uuid.uuid4()  # of the attempt and not of the event: nothing is claimed
        work = asyncio.create_task(_in_time(app, await request.json(), id_, promise))
        app.state.late.add(work)
        work.add_done_callback(app.state.late.discard)
        if promise != "early":
            await work
        return _answer(id_)

    return app


async def _in_time(
    app: FastAPI, event: dict[str, Any], id_: uuid.UUID, promise: str
) -> None:
    if promise == "early":
        await asyncio.sleep(_LATE_S)
    async with app.state.pool.acquire() as connection, connection.transaction():
        await _store(connection, event, id_)


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"Broken listens on http://127.0.0.1:{listener.getsockname()[1]}")  # noqa: T201 - a program
        sys.stdout.flush()
        config = uvicorn.Config(
            make_app(*sys.argv[1:]), log_level="warning", lifespan="on"
        )
        uvicorn.Server(config).run(sockets=[listener])
    os._exit(0)

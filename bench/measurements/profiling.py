"""Where each microsecond of a request with one event goes."""

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import uvloop
from pydantic import SecretStr

from app.main import create_app
from app.settings import Settings
from bench.baselines.stand import stand
from bench.database import BenchmarkError, Server
from bench.load.bodies import bodies, write_requests, yesterday
from bench.load.scenarios import CAPACITY, CONNECTIONS
from bench.load.wrk import saturate
from bench.process import rollcall_environment, started, wait_ready
from bench.sampler import Sampler

_ROUND = 6_400
_OK = 200

Counts = list[tuple[str, str, int]]
Message = MutableMapping[str, Any]


class Profile(NamedTuple):
    """How the CPU time of a request divides.

    Attributes:
        requests: that were answered 200.
        us: CPU microseconds of the process for each.
        counts: place, function and samples.
    """

    requests: int
    us: float
    counts: Counts


def profile_app(server: Server, seconds: float, *, dry_run: bool) -> Profile:
    """The app in this process, without HTTP: from ASGI to the commit and back.

    Args:
        server: the Postgres.
        seconds: of CPU time.
        dry_run: stop short of the writer, to see the pipeline alone.
    """
    with server.database() as url, _quiet():
        return uvloop.run(_profile_app(url, server.key, seconds, dry_run=dry_run))


async def _profile_app(url: str, key: str, seconds: float, *, dry_run: bool) -> Profile:
    app = create_app(Settings(database_url=SecretStr(url)))
    query = b"dry_run=true" if dry_run else b""
    made = bodies(0, 1 << 40, batch=1, day=yesterday())
    requests, spent, sampler = 0, 0.0, Sampler()
    async with _alive(app):
        while spent < seconds:
            ready = list(islice(made, _ROUND))
            with sampler:
                began = time.process_time()
                async with asyncio.TaskGroup() as senders:
                    for number in range(CONNECTIONS[1]):
                        part = ready[number :: CONNECTIONS[1]]
                        senders.create_task(_send_all(app, part, key, query))
                spent += time.process_time() - began
            requests += len(ready)
    return Profile(requests, spent / requests * 1e6, _flat(sampler))


@asynccontextmanager
async def _alive(app: Any) -> AsyncIterator[None]:
    """Within the app's lifespan, as a server would keep it."""
    told: asyncio.Queue[Message] = asyncio.Queue()
    said: asyncio.Queue[Message] = asyncio.Queue()
    life = asyncio.create_task(app({"type": "lifespan"}, told.get, said.put))
    told.put_nowait({"type": "lifespan.startup"})
    message = await said.get()
    if message["type"] != "lifespan.startup.complete":
        raise BenchmarkError(f"The app did not start: {message}")
    yield
    told.put_nowait({"type": "lifespan.shutdown"})
    await life


async def _send_all(app: Any, bodies: list[bytes], key: str, query: bytes) -> None:
    for body in bodies:
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/track",
            "query_string": query,
            "headers": [
                (b"host", b"127.0.0.1"),
                (b"authorization", b"Bearer " + key.encode()),
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
            ],
        }
        message = {"type": "http.request", "body": body, "more_body": False}
        await app(scope, partial(_receive, message), _check)


async def _receive(message: Message) -> Message:
    return message


async def _check(message: Message) -> None:
    if message.get("status", _OK) != _OK:
        raise BenchmarkError(f"Not answered 200: {message}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Let the app log as ever, but to nowhere."""
    root = logging.getLogger()
    level, handlers, stderr = root.level, root.handlers[:], sys.stderr
    with Path(os.devnull).open("w") as nowhere:
        sys.stderr = nowhere
        try:
            yield
        finally:
            sys.stderr = stderr
            root.handlers[:] = handlers
            root.setLevel(level)


def _flat(sampler: Sampler) -> Counts:
    return [(*place, count) for place, count in sampler.counts.items()]


def profile_service(server: Server, seconds: int) -> Profile:
    """The whole of one worker at saturation: sockets, HTTP, pipeline and driver."""
    path = server.directory / "profile.json"
    count = CAPACITY[1] * seconds
    requests = write_requests(
        server.directory / "requests", key=server.key, count=count, batch=1
    )
    with server.database() as url:
        with started(
            *(sys.executable, "-m", "bench", "sampled", url, str(path)),
            env=rollcall_environment(),
            log=server.directory / "server.log",
        ) as process:
            wait_ready(process.address)
            before = process.cpu_seconds()
            answers = saturate(
                process.address,
                requests.part(0, count),
                seconds=seconds,
                connections=CONNECTIONS[1],
            )
            spent = process.cpu_seconds() - before
        counts = [tuple(row) for row in json.loads(path.read_text())]
    return Profile(answers.ok, spent / answers.ok * 1e6, counts)


def serve_sampled(url: str, path: Path) -> None:
    """Serve Rollcall, and write what it was at into a file at the end."""
    settings = Settings(database_url=SecretStr(url))
    with Sampler() as sampler:
        try:
            stand(partial(create_app, settings), name="sampled", workers=1)
        finally:
            path.write_text(json.dumps(_flat(sampler)))

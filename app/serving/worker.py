"""A worker: what it is given, and what it does with it.

The first ones are copies of the parent; later ones are new programs, `python -m
app.serving.worker`, so that they run the code that is on disk then. What an older
parent and a newer worker must agree on is all here:

    arguments       the descriptors of the listening socket, and of both ends of the
                    pair by which connections change hands
    standard input  a Unix socket, the line to the parent: first the instructions, one
                    line of JSON, then what `Server` says of it
    environment     the parent's
    exit status     0 when it left as it was told to
"""

import gc
import os
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from types import FrameType

from pydantic import SecretStr

from app.ingest.dispatch import Dispatcher
from app.logs import configure_logs
from app.main import create_app
from app.serving.instructions import Instructions
from app.serving.server import Server
from app.settings import Settings

_LINE = 0
# Objects made and not gone, after which the youngest are searched for cycles.
_GARBAGE_THRESHOLD = 20_000


def work(*descriptors: int) -> None:
    """Serve until told to leave.

    Args:
        descriptors: of the three sockets.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    listener, give, take = (socket.socket(fileno=number) for number in descriptors)
    told = _instructions()
    settings = Settings(database_url=SecretStr(told.database_url), workers=told.workers)
    metrics_dir = None if told.metrics_dir is None else Path(told.metrics_dir)
    configure_logs(settings.log_level)
    server = Server(
        partial(_make_app, settings, metrics_dir),
        drain_s=settings.drain_timeout_seconds,
        line=socket.socket(fileno=os.dup(_LINE)),
        give=give,
        take=take,
    )
    server.run([listener])


def _make_app(settings: Settings, metrics_dir: Path | None) -> Dispatcher:
    app = create_app(settings, metrics_dir)
    # What is made by now stays: to search it for garbage again and again, after every
    # few hundred objects, takes a sixth of a worker's time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_THRESHOLD, 20, 20)
    return app


def _instructions() -> Instructions:
    """What the parent says once it knows; until then, most of the start is done."""
    with open(_LINE, "rb", buffering=0, closefd=False) as line:
        words = line.readline()
    if not words:  # the parent has changed its mind
        sys.exit(0)
    return Instructions.read(words)


def _leave(number: int, frame: FrameType | None) -> None:
    """Uvicorn raises a signal again once it has shut down in good order."""
    del number, frame
    sys.exit(0)


if __name__ == "__main__":
    work(*map(int, sys.argv[1:]))

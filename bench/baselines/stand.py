"""Uvicorn as `rollcall serve` runs it, for the apps that it is compared with."""

import multiprocessing
import signal
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import typer
import uvicorn
from uvicorn.supervisors import Multiprocess

from app.serving.listener import BACKLOG
from app.serving.server import server_config

_DRAIN_S = 10

Factory = Callable[[], Any]


def stand(factory: Factory, *, name: str, workers: int) -> None:
    """Serve an ASGI app on a free port of the loopback until told to stop.

    Args:
        factory: makes the app in each worker; can be pickled.
        name: what to say that listens.
        workers: processes that answer.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:
        _, port = listener.getsockname()
        typer.echo(f"{name} listens on http://127.0.0.1:{port}")
        config = server_config(
            partial(_made, factory),
            workers=workers,
            timeout_graceful_shutdown=_DRAIN_S,
        )
        if workers > 1:
            Multiprocess(config, sockets=[listener]).run()
        else:
            uvicorn.Server(config).run(sockets=[listener])


def _made(factory: Factory) -> Any:
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_leave_after, args=(parent,), daemon=True).start()
    return factory()


def _leave_after(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    signal.raise_signal(signal.SIGTERM)

"""`rollcall serve`: the database, then the workers; stopped in reverse."""

import asyncio
import errno
import gc
import multiprocessing
import signal
import socket
import sys
import threading
import time
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
import uvicorn
from pydantic import SecretStr
from uvicorn.supervisors import Multiprocess

from app.api.connection import Connection
from app.api.dispatch import Dispatcher
from app.cli.configuration import read_settings
from app.cli.database import say, usable
from app.cli.quickstart import introduce
from app.errors import ConfigurationError, DatabaseError
from app.logs import configure_logs
from app.main import create_app
from app.metrics.board import shared_directory
from app.settings import Settings
from app.store.outage import prepare_journal
from app.store.schema import check_schema
from app.store.session import in_transaction

_BACKLOG = 2048
_BIND_PATIENCE_S = 3.0
_BIND_PAUSE_S = 0.05
# Longer than the idle time of common proxies and SDKs, so that none of them sends
# into a connection that is just being closed.
_KEEP_ALIVE_S = 75
# Objects made and not gone, after which the youngest are searched for cycles.
_GARBAGE_THRESHOLD = 20_000
# A worker that starts on a busy machine is slow, not hung.
_HEALTHCHECK_S = 30


def serve(
    host: Annotated[
        str | None, typer.Option(help="The address to listen on. [ROLLCALL_HOST]")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="The port; 0 takes any. [ROLLCALL_PORT]")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that answer. [ROLLCALL_WORKERS]")
    ] = None,
) -> None:
    """Start the service; without a configured database, with one of its own."""
    settings = read_settings(host=host, port=port, workers=workers)
    configure_logs(settings.log_level)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    with usable(settings) as database:
        url = database.url
        prepare_journal(settings.data_dir, wanted=settings.journal)
        _check_schema(url)
        with _listening(settings) as listener, shared_directory() as metrics_dir:
            address = _address(listener)
            typer.echo(f"Rollcall listens on {address}")
            if database.bin_dir is not None:
                typer.echo(introduce(url, settings.data_dir, address=address))
            sys.stdout.flush()
            settings = settings.model_copy(update={"database_url": SecretStr(url)})
            _run(settings, metrics_dir, listener)


def _leave(number: int, frame: FrameType | None) -> None:
    """End by unwinding, so that the embedded Postgres is stopped, too.

    Uvicorn raises a signal again once it has shut down in good order.
    """
    del number, frame
    sys.exit(0)


def _check_schema(url: str) -> None:
    """Refuse an old schema; a database that is away may come back."""
    try:
        asyncio.run(in_transaction(url, check_schema))
    except DatabaseError as error:
        say(f"Starting all the same, not ready yet: {error.detail}")


def _listening(settings: Settings) -> socket.socket:
    """Bound and listening before anything is announced: early senders queue.

    Raises:
        ConfigurationError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    deadline = time.monotonic() + _BIND_PATIENCE_S
    while True:
        try:
            return socket.create_server(
                (settings.host, settings.port), family=family, backlog=_BACKLOG
            )
        except OSError as error:
            # The workers of a service that was killed may just be leaving.
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise ConfigurationError(
                    f"Cannot listen on {settings.host} port {settings.port}: "
                    f"{error.strerror}. Choose another with --host or --port."
                ) from None
        time.sleep(_BIND_PAUSE_S)


def _address(listener: socket.socket) -> str:
    host, port, *_ = listener.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _run(settings: Settings, metrics_dir: Path | None, listener: socket.socket) -> None:
    config = uvicorn.Config(
        partial(_worker_app, settings, metrics_dir),
        factory=True,
        workers=settings.workers,
        lifespan="on",
        http=Connection,
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # create_app does that, where it matters
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_worker_healthcheck=_HEALTHCHECK_S,
        timeout_graceful_shutdown=round(settings.drain_timeout_seconds),
    )
    if settings.workers > 1:
        Multiprocess(config, sockets=[listener]).run()
        return
    server = uvicorn.Server(config)
    server.run(sockets=[listener])
    if not server.started:
        sys.exit(1)


def _worker_app(settings: Settings, metrics_dir: Path | None) -> Dispatcher:
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    app = create_app(settings, metrics_dir)
    # What is made by now stays: to search it for garbage again and again, after every
    # few hundred objects, takes a sixth of a worker's time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_THRESHOLD, 20, 20)
    return app


def _leave_with(parent: BaseProcess) -> None:
    """Stop in good order once the parent is gone: it may have been killed."""
    parent.join()
    signal.raise_signal(signal.SIGTERM)

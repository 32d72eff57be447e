"""`rollcall serve`: start the database, then the workers; stop them in reverse."""

import asyncio
import signal
import socket
from contextlib import AbstractContextManager, closing
from functools import partial
from typing import Annotated, Any

import typer

from app.cli.configuration import read_settings
from app.cli.signals import ignore_signals, unwind
from app.http.descriptors import raise_descriptor_limit
from app.logs import configure_logs
from app.serving.interpreter import warn_if_vulnerable
from app.serving.listener import address_of, bind_socket, inherit_socket
from app.serving.process import spawn_worker
from app.serving.snapshot_directory import snapshot_directory
from app.serving.supervisor import Supervisor
from app.serving.systemd import Notifier, ServiceManager, service_manager
from app.settings import Settings


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. [ROLLCALL_HOST]")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port; 0 takes any free one. [ROLLCALL_PORT]")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Number of worker processes. [ROLLCALL_WORKERS]")
    ] = None,
) -> None:
    """Start the service; without a configured database, with an embedded Postgres."""
    settings = read_settings(host=host, port=port, workers=workers)
    configure_logs(settings.log_level)
    warn_if_vulnerable()
    raise_descriptor_limit()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Unwind the stack, so that the embedded Postgres is stopped.
        signal.signal(number, lambda *_: unwind(0))
    # Nothing is to be read again until the workers run.
    signal.signal(signal.SIGHUP, lambda *_: None)
    manager = service_manager()
    with (
        _listening(settings, manager) as listener,
        snapshot_directory() as metrics_dir,
        closing(
            Supervisor(
                spawn=partial(spawn_worker, listener),
                settings=settings,
                listener=listener,
                notifier=Notifier(manager.notify),
                metrics_dir=metrics_dir,
            )
        ) as supervisor,
        _prepared(settings, address_of(listener)) as (config, reread),
    ):
        own = {
            "workers": settings.workers,
            "metrics_dir": metrics_dir and str(metrics_dir),
        }
        try:
            asyncio.run(supervisor.run({**config, **own}, reread))
        finally:
            ignore_signals()  # the embedded Postgres is still to be stopped


def _listening(settings: Settings, manager: ServiceManager) -> socket.socket:
    """Listen before the database is up, so that early clients queue."""
    if manager.sockets:
        return inherit_socket(manager.sockets)
    return bind_socket(settings.host, settings.port)


def _prepared(settings: Settings, address: str) -> AbstractContextManager[Any]:
    from app.cli.prepared_service import (  # noqa: PLC0415 - while the workers start
        prepared_service,
    )

    return prepared_service(settings, address)

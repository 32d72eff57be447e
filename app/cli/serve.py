"""`rollcall serve`: the database, then the workers; stopped in reverse."""

import asyncio
import signal
import socket
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from app.cli.configuration import read_settings
from app.cli.database import Database, say, usable
from app.cli.quickstart import introduce
from app.cli.signals import ignore_signals
from app.errors import DatabaseError
from app.logs import configure_logs
from app.serving.interpreter import warn_if_vulnerable
from app.serving.listener import address_of, bind_socket, inherit_socket
from app.serving.process import spawn_worker
from app.serving.snapshot_directory import snapshot_directory
from app.serving.supervisor import Supervisor
from app.serving.systemd import Notifier, ServiceManager, service_manager
from app.settings import Settings
from app.store.journal.fallback import prepare_journal
from app.store.migrations import check_schema
from app.store.operator_session import in_operator_transaction


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
    warn_if_vulnerable()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    signal.signal(signal.SIGHUP, _stay)
    manager = service_manager()
    with (
        _listening(settings, manager) as listener,
        snapshot_directory() as metrics_dir,
        closing(_supervisor(settings, listener, manager, metrics_dir)) as supervisor,
        usable(settings) as database,
    ):
        prepare_journal(settings.data_dir, wanted=settings.journal)
        _check_schema(database.url)
        _announce(settings, listener, database)
        config = {
            "database_url": database.url,
            "workers": settings.workers,
            "metrics_dir": metrics_dir and str(metrics_dir),
        }
        try:
            asyncio.run(supervisor.run(config))
        finally:
            ignore_signals()  # the embedded Postgres is still to be stopped


def _leave(number: int, frame: FrameType | None) -> None:
    """End by unwinding, so that the embedded Postgres is stopped, too."""
    del number, frame
    ignore_signals()
    sys.exit(0)


def _stay(number: int, frame: FrameType | None) -> None:
    """There is nothing to renew before all is started."""
    del number, frame


def _listening(settings: Settings, manager: ServiceManager) -> socket.socket:
    """Listening before the database is up: early senders queue."""
    if manager.sockets:
        return inherit_socket(manager.sockets)
    return bind_socket(settings.host, settings.port)


def _supervisor(
    settings: Settings,
    listener: socket.socket,
    manager: ServiceManager,
    metrics_dir: Path | None,
) -> Supervisor:
    return Supervisor(
        partial(spawn_worker, listener),
        settings=settings,
        listener=listener,
        notifier=Notifier(manager.notify),
        metrics_dir=metrics_dir,
    )


def _check_schema(url: str) -> None:
    """Refuse an old schema; a database that is away may come back."""
    try:
        asyncio.run(in_operator_transaction(url, check_schema))
    except DatabaseError as error:
        say(f"Starting all the same, not ready yet: {error.detail}")


def _announce(settings: Settings, listener: socket.socket, database: Database) -> None:
    address = address_of(listener)
    typer.echo(f"Rollcall listens on {address}")
    if database.bin_dir is not None:
        typer.echo(introduce(database.url, settings.data_dir, address=address))
    sys.stdout.flush()

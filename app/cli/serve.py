"""`rollcall serve`: start the database, then the workers; stop them in reverse."""

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
from app.cli.database import Database, echo_err, open_migrated
from app.cli.quickstart import quickstart_message
from app.cli.signals import ignore_signals
from app.components.catalog import read_declarations
from app.errors import DatabaseError
from app.http.descriptors import raise_descriptor_limit
from app.logs import configure_logs
from app.serving.interpreter import warn_if_vulnerable
from app.serving.listener import address_of, bind_socket, inherit_socket
from app.serving.process import spawn_worker
from app.serving.snapshot_directory import snapshot_directory
from app.serving.supervisor import Supervisor
from app.serving.systemd import Notifier, ServiceManager, service_manager
from app.settings import Settings
from app.store.journal.fallback import journal_directory, prepare_journal
from app.store.journal.inspection import find_journals
from app.store.keys.snapshot_file import KeySnapshotFile
from app.store.startup import check_database


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
        signal.signal(number, _leave)
    signal.signal(signal.SIGHUP, _ignore_reload)
    declarations = read_declarations(settings)
    manager = service_manager()
    with (
        _listening(settings, manager) as listener,
        snapshot_directory() as metrics_dir,
        closing(_supervisor(settings, listener, manager, metrics_dir)) as supervisor,
        open_migrated(settings, create=True, declarations=declarations) as database,
    ):
        can_buffer = _has_snapshot(settings)
        prepare_journal(settings.data_dir, wanted=settings.journal)
        _check_database(database.url, can_buffer=can_buffer)
        _announce(settings, listener, database)
        config = {
            "database_url": database.url,
            "workers": settings.workers,
            "metrics_dir": metrics_dir and str(metrics_dir),
            "declarations": declarations.to_json(),
        }
        try:
            asyncio.run(supervisor.run(config, reread=partial(_reread, settings)))
        finally:
            ignore_signals()  # the embedded Postgres is still to be stopped


def _leave(number: int, frame: FrameType | None) -> None:
    """Unwind the stack, so that the embedded Postgres is stopped."""
    del number, frame
    ignore_signals()
    sys.exit(0)


def _reread(settings: Settings) -> dict[str, object]:
    """The declarations as they are now, for new workers."""
    return {"declarations": read_declarations(settings).to_json()}


def _ignore_reload(number: int, frame: FrameType | None) -> None:
    """Ignore SIGHUP until the workers run."""
    del number, frame


def _listening(settings: Settings, manager: ServiceManager) -> socket.socket:
    """Listen before the database is up, so that early clients queue."""
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


def _has_snapshot(settings: Settings) -> bool:
    """Whether an earlier run left keys or events on this machine."""
    if settings.journal == "off":
        return False
    journals = find_journals(journal_directory(settings.data_dir))
    return bool(journals or KeySnapshotFile(settings.data_dir).read())


def _check_database(url: str, *, can_buffer: bool) -> None:
    """Refuse a wrong configuration; start without a database that may come back."""
    try:
        asyncio.run(check_database(url, can_buffer=can_buffer))
    except DatabaseError as error:
        echo_err(f"Starting without the database, not ready yet. {error.detail}")


def _announce(settings: Settings, listener: socket.socket, database: Database) -> None:
    address = address_of(listener)
    typer.echo(f"Rollcall listens on {address}")
    if database.bin_dir is not None:
        message = quickstart_message(
            database.url,
            settings.data_dir,
            address=address,
            is_terminal=sys.stdout.isatty(),
        )
        typer.echo(message)
    sys.stdout.flush()

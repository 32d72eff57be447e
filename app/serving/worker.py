"""Entry point of a worker process: `python -m app.serving.worker`.

A worker may run a newer release than its parent. Both must agree on:

    argument        descriptor of the listening socket
    standard input  the control socket. The parent sends the configuration, one line of
                    JSON, and later the byte "d": drain. Its end means: stop. The worker
                    sends a byte as heartbeat; the first means that it accepts.
    environment     the parent's
    exit status     0 if it exited as requested
"""

import asyncio
import gc
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import uvloop
from pydantic import SecretStr

from app.components.catalog import make_catalog
from app.declarations.declaration_set import from_json
from app.ingest.dispatch import Dispatcher
from app.logs import configure_logs
from app.main import create_app
from app.serving.server import Server
from app.settings import Settings

_CONTROL = 0
_CHUNK_BYTES = 64 * 1024
# Net allocations after which the garbage collector looks at the youngest objects.
_GC_THRESHOLD = 20_000
# Seconds until a thread that renders a document or parses a large body hands the
# interpreter over to the event loop, which asks for it several times a request.
_SWITCH_INTERVAL_S = 0.0005


def main(listener: int) -> None:
    """Serve until a signal or the parent stops it."""
    config = _read_config()
    directory = config["metrics_dir"]
    listening = socket.socket(fileno=listener)
    settings = Settings(
        database_url=SecretStr(config["database_url"]),
        workers=config["workers"],
        port=listening.getsockname()[1],
    )
    configure_logs(settings.log_level)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    make_app = partial(
        _make_app, settings, directory and Path(directory), config.get("declarations")
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(make_app, settings, listening))


def _read_config() -> dict[str, Any]:
    """Wait for the configuration; the imports above are most of the start."""
    line = b""
    with socket.socket(fileno=os.dup(_CONTROL)) as control:
        while not line.endswith(b"\n"):
            # Take nothing behind the line: a command may follow.
            seen = control.recv(_CHUNK_BYTES, socket.MSG_PEEK)
            if not seen:  # the parent has ended
                sys.exit(0)
            line += control.recv(seen.find(b"\n") + 1 or len(seen))
    config: dict[str, Any] = json.loads(line)
    return config


def _make_app(
    settings: Settings, metrics_dir: Path | None, declarations: str | None
) -> Dispatcher:
    catalog = None  # a parent of an older release hands no declarations over
    if declarations is not None:
        catalog = make_catalog(settings, from_json(declarations))
    app = create_app(settings, metrics_dir, catalog)
    # Objects made so far stay: scanning them again and again for garbage takes a sixth
    # of a worker's time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD, 20, 20)
    return app


async def _serve(
    make_app: partial[Dispatcher], settings: Settings, listener: socket.socket
) -> None:
    control = socket.socket(fileno=os.dup(_CONTROL))
    reader, writer = await asyncio.open_unix_connection(sock=control)

    async def send_heartbeat() -> None:
        with suppress(OSError):  # the parent has ended
            writer.write(b".")
            await writer.drain()

    server = Server(
        make_app,
        stop_s=settings.drain_timeout_seconds,
        heartbeat=send_heartbeat,
        shares_listener=settings.workers > 1,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    commands = asyncio.create_task(_read_commands(reader, server))
    await server.serve(sockets=[listener])
    commands.cancel()
    writer.close()


async def _read_commands(reader: asyncio.StreamReader, server: Server) -> None:
    with suppress(OSError):  # the parent was killed
        while await reader.read(1):
            server.drain()
    server.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""Files of events, and commands that are run on them in this process."""

import asyncio
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner, Result

from tests.support.pipeline.verdicts import SIGNED_UP

# Where nothing listens: a command that needs no database must not notice.
NOWHERE = "postgresql://nobody@127.0.0.1:1/nowhere"


def event(number: int = 0, **changes: Any) -> dict[str, Any]:
    """A valid event without warnings, other than those of other numbers."""
    return SIGNED_UP | {"message_id": f"m{number}"} | changes


def ndjson(*events: Any) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def run(
    command: Callable[..., None], *arguments: str | Path, url: str = NOWHERE
) -> Result:
    """Run a command that has this process's event loop for itself."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(command)
    return CliRunner().invoke(
        app, list(map(str, arguments)), env={"ROLLCALL_DATABASE_URL": url}
    )


async def run_aside(
    command: Callable[..., None], *arguments: str | Path, url: str = NOWHERE
) -> Result:
    """Run a command in a thread, so that it has an event loop of its own."""
    return await asyncio.to_thread(run, command, *arguments, url=url)


def write(path: Path, content: bytes) -> Path:
    """Write a file; gzipped where its name says so."""
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path

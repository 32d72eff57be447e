"""Standard streams and signals of a command."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from types import FrameType

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def open_streams() -> None:
    """Reopen closed standard streams on /dev/null.

    Otherwise the next file to be opened would get the descriptor 0, 1 or 2, which a
    worker process uses for its streams.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode)  # noqa: SIM115 - open until the process ends
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)


def exit_on_signals() -> None:
    """Unwind the stack on a fatal signal, so that the embedded Postgres is stopped.

    Signals that the parent process ignores, as nohup(1) does, stay ignored.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _unwind)


def ignore_signals() -> None:
    """Ignore further signals, so that a shutdown runs to its end."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def unwind(status: int) -> None:
    """Raise SystemExit with `status`, which a process can call on a signal.

    An event loop that runs ends after its current callback: raised inside asyncpg,
    the exception leaves a connection half-read, and the interpreter can crash with it.
    """
    ignore_signals()
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # none runs
        sys.exit(status)
    loop.call_soon_threadsafe(sys.exit, status)


def _unwind(number: int, frame: FrameType | None) -> None:
    del frame
    unwind(128 + number)  # as shells report it

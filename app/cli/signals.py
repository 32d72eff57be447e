"""Standard streams and signals of a command."""

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


def _unwind(number: int, frame: FrameType | None) -> None:
    del frame
    ignore_signals()
    sys.exit(128 + number)  # as shells report it

"""What a command finds where it is started: its standard streams, and signals."""

import os
import signal
import sys
from pathlib import Path
from types import FrameType

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def open_streams() -> None:
    """Give each standard stream that whoever started us has closed to nobody.

    What is opened next would take its descriptor, which a worker has for its own.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode)  # noqa: SIM115 - as long as we live
            os.set_inheritable(stream.fileno(), True)  # noqa: FBT003 - positional
            setattr(sys, name, stream)


def exit_on_signals() -> None:
    """End by unwinding where a signal would kill us, to stop the embedded Postgres.

    Not where it is ignored, as nohup(1) has it.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _unwind)


def ignore_signals() -> None:
    """What is being ended is not to be ended by half."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def _unwind(number: int, frame: FrameType | None) -> None:
    del frame
    ignore_signals()
    sys.exit(128 + number)  # as a shell would tell it

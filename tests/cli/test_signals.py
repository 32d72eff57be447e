"""Signals that end a command."""

import signal
import subprocess
import sys

import pytest

from app.cli import main

IN_A_LOOP = """
import asyncio, os
from app.cli.signals import exit_on_signals

async def main():
    try:
        os.kill(os.getpid(), {number})
        print("callback ended", flush=True)
        await asyncio.get_running_loop().create_future()
    finally:
        print("unwound", flush=True)

exit_on_signals()
asyncio.run(main())
"""

WITHOUT_A_LOOP = """
import os
from app.cli.signals import exit_on_signals

exit_on_signals()
try:
    os.kill(os.getpid(), {number})
    print("not reached", flush=True)
finally:
    print("unwound", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    ("program", "printed"),
    [(IN_A_LOOP, "callback ended\nunwound\n"), (WITHOUT_A_LOOP, "unwound\n")],
)
def test_signal_unwinds_a_command_between_callbacks_of_its_event_loop(
    program: str, printed: str, number: signal.Signals
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", program.format(number=int(number))],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=restore_signals,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (128 + number, printed, "")


def restore_signals() -> None:
    """Undo nohup(1), under which a child would ignore SIGHUP."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_interrupt_while_a_command_is_imported_ends_it_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(target: str) -> None:
        raise KeyboardInterrupt(target)

    monkeypatch.setattr("app.cli.open_streams", lambda: None)
    monkeypatch.setattr("app.cli.exit_on_signals", lambda: None)
    monkeypatch.setattr("app.cli.resolve_name", interrupt)
    monkeypatch.setattr("sys.argv", ["rollcall", "check"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 130

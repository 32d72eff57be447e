"""Runs `rollcall` in forked processes, which need not import its modules again.

Imports take most of the time of a start: one second for a command, four seconds for a
service with one worker. The fork server is a process with one thread that has imported
the modules; a test process starts it at the first use. A forked process has arguments,
an environment, a working directory, standard streams and an exit status of its own, as
a program has. Tests of the start itself run the program.
"""

import atexit
import gc
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import IO, Any, Self

_MODULES = ("cli.serve", "cli.prepared_service", "cli.keys", "serving.worker", "main")
_ROOT = Path(__file__).resolve().parents[3]
_ANY_BODY = 1 << 20
_NUMBER = struct.Struct("i")
_HIGHEST_DESCRIPTOR = 1 << 16


class ForkedProcess:
    """A forked process, with those methods of `Popen` that tests call.

    Attributes:
        pid: the process.
        returncode: its exit status, once it is known; -9 for signal 9.
        stdout: its standard output, if that is a pipe.
    """

    def __init__(self, numbers: int, stdout: IO[str] | None = None) -> None:
        self._numbers = numbers
        self.pid = self._read()
        self.returncode: int | None = None
        self.stdout = stdout

    def poll(self) -> int | None:
        if self.returncode is None and self._is_readable(0):
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not self._is_readable(timeout):
                assert timeout is not None
                raise subprocess.TimeoutExpired("rollcall", timeout)
            self.returncode = self._read()
            os.close(self._numbers)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.stdout is not None:
            self.stdout.close()
        self.wait()

    def _read(self) -> int:
        [number] = _NUMBER.unpack(os.read(self._numbers, _NUMBER.size))
        return int(number)

    def _is_readable(self, timeout: float | None) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self._numbers, selectors.EVENT_READ)
            return bool(selector.select(timeout))


def fork_rollcall(
    *arguments: str,
    env: Mapping[str, str],
    streams: tuple[int, int, int],
    stdout: int | None = None,
) -> ForkedProcess:
    """Start a command in a forked process.

    Args:
        arguments: the command and its arguments.
        env: its environment.
        streams: descriptors of its standard streams.
        stdout: where its standard output is read, if that is a pipe.
    """
    command = {"arguments": arguments, "env": dict(env), "cwd": str(Path.cwd())}
    ours, theirs = os.pipe()
    try:
        body = json.dumps(command).encode()
        socket.send_fds(_fork_server(), [body], [*streams, theirs])
    finally:
        os.close(theirs)
    return ForkedProcess(ours, None if stdout is None else os.fdopen(stdout))


@cache
def _fork_server() -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno())],
            cwd=_ROOT,
            pass_fds=[theirs.fileno()],
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _serve(control: socket.socket) -> None:
    """Fork as often as it is asked to, until nobody can ask any more."""
    for name in _MODULES:
        import_module(f"app.{name}")
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # none of its children is waited for
    while True:
        body, descriptors, _, _ = socket.recv_fds(control, _ANY_BODY, 4)
        if not body:
            return
        if os.fork() == 0:
            control.close()
            _leave_after(partial(_keep, json.loads(body), descriptors))
        for descriptor in descriptors:
            os.close(descriptor)


def _keep(command: dict[str, Any], descriptors: list[int]) -> None:
    """Start the command, and report its pid, and later its exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, numbers = descriptors
    process = _forked(
        partial(_run, command),
        stdin=streams[0],
        stdout=streams[1],
        stderr=streams[2],
        cwd=command["cwd"],
    )
    for descriptor in (0, 1, 2, *streams):
        os.close(descriptor)
    os.write(numbers, _NUMBER.pack(process.pid))
    os.write(numbers, _NUMBER.pack(process.wait()))


def _run(command: dict[str, Any]) -> None:
    cli = import_module("app.cli")
    serve: Any = import_module("app.cli.serve")
    os.environ.clear()  # noqa: TID251 - the process begins
    os.environ.update(command["env"])  # noqa: TID251 - as above
    program = Path(sys.executable).with_name("rollcall")
    sys.argv = [str(program), *command["arguments"]]
    sys.modules["__main__"] = ModuleType("__main__")  # usage messages name it
    serve.spawn_worker = _fork_worker
    cli.main()


def _fork_worker(
    listener: socket.socket, control: socket.socket
) -> "subprocess.Popen[bytes]":
    """Do as `spawn_worker` of the service does, with a forked process."""
    worker = import_module("app.serving.worker")
    return _forked(
        partial(worker.main, listener.fileno()),
        stdin=control.fileno(),
        keep=listener.fileno(),
        process_group=0,
    )


def _forked(
    run: Callable[[], None], *, keep: int | None = None, **options: Any
) -> "subprocess.Popen[bytes]":
    """Run a function in a child process, which is never replaced by a program.

    Args:
        run: the work of the child.
        keep: the one descriptor that it keeps in addition to its standard streams.
        options: of `Popen`.
    """

    def child() -> None:
        gc.freeze()  # nothing of the parent's is closed here as garbage
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        kept = _HIGHEST_DESCRIPTOR if keep is None else keep
        # The parent learns by the end of its pipe that the child runs.
        os.closerange(3, kept)
        os.closerange(kept + 1, _HIGHEST_DESCRIPTOR)
        for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
            mode = "w" if descriptor else "r"
            stream = os.fdopen(descriptor, mode, encoding="utf-8", closefd=False)
            setattr(sys, name, stream)
        sys.stderr.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr] # a text file
        _leave_after(run)

    return subprocess.Popen(
        [sys.executable],
        preexec_fn=child,  # noqa: PLW1509 - the parent's only thread forks
        close_fds=False,
        restore_signals=False,  # as the interpreter has set them
        **options,
    )


def _leave_after(run: Callable[[], None]) -> None:
    """End this process as the interpreter ends a program."""
    status: object = 1
    try:
        run()
        status = 0
    except SystemExit as leaving:
        status = leaving.code or 0
        if not isinstance(status, int):
            print(status, file=sys.stderr)  # noqa: T201 - as the interpreter does
            status = 1
    except BaseException:  # noqa: BLE001 - there is nobody above
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status if isinstance(status, int) else 1)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        _serve(asked)

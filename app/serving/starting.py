"""Two ways to make the process of a worker."""

import os
import socket
import sys
import traceback
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NoReturn

from app.serving.worker import work

_LINE = 0
_STREAMS = 3


class Starter:
    """Makes processes that serve.

    Args:
        sockets: that all of them share; `app/serving/worker.py` says which.
        environment: of new programs.
    """

    def __init__(
        self, sockets: Sequence[socket.socket], environment: Mapping[str, str]
    ) -> None:
        self._sockets = sockets  # open as long as there are workers
        self._descriptors = [shared.fileno() for shared in sockets]
        self._environment = environment
        for shared in sockets:
            shared.set_inheritable(True)

    def fork(self, line: socket.socket) -> int:
        """A copy of this process: at once, and with the code that is loaded here.

        Only before there is a second thread or an event loop. Returns the pid.

        Args:
            line: to the parent.
        """
        pid = os.fork()
        if pid == 0:
            self._become_worker(line)
        return pid

    def spawn(self, line: socket.socket) -> int:
        """A new program, with the code that is on disk now. Returns the pid.

        Args:
            line: to the parent.
        """
        # -P: what lies in the working directory is no code of ours.
        command = [sys.executable, "-P", "-m", work.__module__]
        return os.posix_spawn(
            sys.executable,
            [*command, *map(str, self._descriptors)],
            self._environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, line.fileno(), _LINE)],
            setpgroup=0,  # Ctrl-C reaches the parent alone
        )

    def _become_worker(self, line: socket.socket) -> NoReturn:
        status = 1
        try:
            os.setpgid(0, 0)
            os.dup2(line.fileno(), _LINE)
            _close_all_but(self._descriptors)
            work(*self._descriptors)
            status = 0
        except SystemExit as leaving:
            status = leaving.code if isinstance(leaving.code, int) else 0
        except BaseException:  # noqa: BLE001 - nobody else can print it
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            # What the parent has open and would clean up is not ours.
            os._exit(status)


def _close_all_but(kept: Sequence[int]) -> None:
    """Close what the parent had open, such as the lines to other workers."""
    edges = [_STREAMS - 1, *sorted(kept), os.sysconf("SC_OPEN_MAX")]
    for below, above in pairwise(edges):
        os.closerange(below + 1, above)

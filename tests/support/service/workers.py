"""Connections that reach both of two workers."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.http.wire import Wire, connected
from tests.support.service.process import Service, until


def both_workers(service: Service) -> list[int]:
    """Their pids, once both answer."""
    pids = until(
        lambda: pids if len(pids := service.workers()) == 2 else None,
        within_s=60,
        what="two workers",
    )
    until(
        lambda: service.log.read_bytes().count(b"startup complete") >= 2,
        within_s=60,
        what="two workers that have started",
    )
    return pids


@contextmanager
def spread(service: Service, *, at_least: int) -> Iterator[list[Wire]]:
    """Open connections until each of two workers holds some of them."""
    pids = both_workers(service)
    before = {pid: _sockets_of(pid) for pid in pids}
    with ExitStack() as stack:
        wires: list[Wire] = []

        def enough() -> bool:
            wires.append(stack.enter_context(connected(service)))
            return len(wires) >= at_least and all(
                _sockets_of(pid) - before[pid] > 2 for pid in pids
            )

        until(enough, within_s=60, what="connections to both workers")
        yield wires


def _sockets_of(pid: int) -> int:
    return sum(map(_is_socket, Path(f"/proc/{pid}/fd").iterdir()))


def _is_socket(path: Path) -> bool:
    try:
        return path.readlink().name.startswith("socket:")
    except FileNotFoundError:  # closed since it was listed
        return False

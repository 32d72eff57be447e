"""Directory through which the workers of one service share their metrics."""

import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp makes the directory in it
_PREFIX = "rollcall-metrics-"
_ABANDONED_S = 3600.0


@contextmanager
def snapshot_directory(
    parents: Iterable[Path | None] = (_MEMORY, None),
) -> Iterator[Path | None]:
    """A private directory that exists as long as the service.

    In memory if possible: publishing metrics must not wait for a disk.

    Args:
        parents: the first that can be used is; None is the system's directory for
            temporary files.

    Yields:
        None if none can be used; then each worker shows its own metrics only.
    """
    for parent in parents:
        if parent is not None:
            _remove_abandoned(parent)
        with suppress(OSError):
            directory = tempfile.TemporaryDirectory(
                prefix=_PREFIX, dir=parent, ignore_cleanup_errors=True
            )
            break
    else:
        yield None
        return
    with directory:
        yield Path(directory.name)


def _remove_abandoned(parent: Path) -> None:
    """Remove directories of killed services; a running one writes every second."""
    for directory in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # another user's, or already removed
            if directory.stat().st_mtime < time.time() - _ABANDONED_S:
                shutil.rmtree(directory)
